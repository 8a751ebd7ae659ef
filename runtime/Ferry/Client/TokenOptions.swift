import ArgumentParser
import Glibc
import Host

/// Who calls a host.
struct TokenOptions: ParsableArguments {
    @Option(
        help:
            "The token to call with. Everybody on this machine can see it in the list of processes; --token-file cannot be seen."
    )
    var token: String?

    @Option(help: ArgumentHelp("A file, or a pipe, with the token.", valueName: "file"))
    var tokenFile: String?

    /// The variable that holds a token where neither option is given.
    static let variable = "FERRY_TOKEN"

    func validate() throws {
        guard token == nil || tokenFile == nil else {
            throw ValidationError("Only one of --token and --token-file may be given.")
        }
    }

    /// The token to send.
    ///
    /// - Parameter usesEnvironment: Whether the environment's counts where neither option is given.
    /// - Returns: `nil` when there is none.
    /// - Throws: ``CommandFailure``, which does not show it, for one that cannot be read or sent.
    func secret(usesEnvironment: Bool = true) throws -> Secret? {
        let (secret, place): (Secret, String)
        if let token {
            (secret, place) = (Secret(token), "--token")
        } else if let tokenFile {
            do {
                (secret, place) = (try Secret(contentsOf: tokenFile), "--token-file \(tokenFile)")
            } catch {
                throw CommandFailure("--token-file: \(error)")
            }
        } else if usesEnvironment, let text = getenv(Self.variable).map({ String(cString: $0) }), !text.isEmpty {
            (secret, place) = (Secret(text), Self.variable)
        } else {
            return nil
        }
        // A header field's value; what is not of it could end the field (RFC 9110, section 5.5).
        guard !secret.value.isEmpty, secret.value.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw CommandFailure("\(place) is no token: it must be visible ASCII characters without spaces")
        }
        return secret
    }
}
