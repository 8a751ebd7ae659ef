public import FunctionKit
internal import WebTokens

/// Makes tickets and opens them.
///
/// A ticket is its contents and their HMAC-SHA-256, each in base64url: a version, the ticket's end and the user's, both in
/// milliseconds, whether the user is an admin, the subject and the user's id, a line each. Nothing is kept anywhere: every
/// process that has the key opens it.
public struct TicketBox: TicketIssuer, Sendable {
    private static let version = "1"

    private let code: MessageCode

    /// Takes the key, at least 32 bytes.
    ///
    /// - Throws: ``LoaderError`` when it is shorter.
    public init(_ secret: Secret) throws(LoaderError) {
        do {
            // For tickets alone, should the secret serve something else besides.
            code = try MessageCode(
                key: try MessageCode(key: Array(secret.value.utf8)).code(for: Array("ferry-ticket".utf8)))
        } catch {
            throw LoaderError(.system, "the secret of tickets: \(error.message)")
        }
    }

    /// Reads the key of a data folder, `ticket.key`; makes one when there is none. Blocks on the file system.
    ///
    /// - Throws: ``LoaderError`` when the file can be neither read nor made, or when others may read it.
    public init(dataFolder: String) throws {
        let path = "\(dataFolder)/ticket.key"
        try self.init(Secret(try SecretFile.read(path, minimumLength: MessageCode.minimumKeyBytes)))
    }

    /// Makes a ticket; see ``FunctionKit/TicketIssuer``.
    public func ticket(for user: User, subject: String, lifetime: Duration) -> (text: String, seconds: Int) {
        let now = Timestamp.now
        let end = min(now + max(lifetime, .seconds(1)), user.expiresAt ?? Timestamp(milliseconds: .max))
        let lines = [
            TicketBox.version, "\(end.milliseconds)", user.expiresAt.map { "\($0.milliseconds)" } ?? "",
            user.isAdmin ? "1" : "0", subject, user.id,
        ]
        let contents = Array(lines.joined(separator: "\n").utf8)
        let text = "\(Base64URL.encode(contents)).\(Base64URL.encode(code.code(for: contents)))"
        return (text, max(0, Int((end.milliseconds - now.milliseconds) / 1000)))
    }

    /// Opens a ticket.
    ///
    /// - Returns: The user, or `nil` when it is none of this key's, its time is over, or it is for none of the subjects.
    func user(of text: String, subjects: [String], at time: Timestamp) -> User? {
        guard text.utf8.count <= 2048 else { return nil }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let contents = Base64URL.decode(parts[0]), let given = Base64URL.decode(parts[1]),
            code.verify(given, of: contents)
        else { return nil }
        let lines = String(decoding: contents, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard lines.count == 6, lines[0] == TicketBox.version, let end = Int64(lines[1]), time.milliseconds < end,
            subjects.contains(where: { $0.lowercased() == lines[4].lowercased() })
        else { return nil }
        let user = User(
            id: lines[5], isAdmin: lines[3] == "1", expiresAt: Int64(lines[2]).map { Timestamp(milliseconds: $0) })
        // Made where nobody is asked who he is; that is worth nothing where one is.
        return user == .local ? nil : user
    }
}
