internal import Glibc

extension S3Credentials {
    /// A credentials file is a few lines; what is longer is something else.
    private static let maximumFileBytes = 1 << 20

    /// Finds credentials: the explicit ones, else those of a named profile, else the environment, else the shared
    /// credentials file. Reads a file, so call it before serving.
    ///
    /// The environment's names are AWS's: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`,
    /// `AWS_PROFILE` and `AWS_SHARED_CREDENTIALS_FILE` (by default `~/.aws/credentials`).
    ///
    /// - Parameters:
    ///   - accessKeyID: From the configuration, or `nil`.
    ///   - secretAccessKey: From the configuration, or `nil`.
    ///   - sessionToken: From the configuration, or `nil`.
    ///   - profile: From the configuration, or `nil`.
    ///   - environment: Gives the value of a variable; `nil` for the process's own environment.
    /// - Returns: The credentials.
    /// - Throws: ``S3Error`` with code `.configuration` when there are none or one half is missing.
    public static func resolve(
        accessKeyID: String? = nil, secretAccessKey: S3Secret? = nil, sessionToken: S3Secret? = nil,
        profile: String? = nil,
        environment: ((String) -> String?)? = nil
    ) throws(S3Error) -> S3Credentials {
        func variable(_ name: String) -> String? {
            let value = environment.map { $0(name) } ?? getenv(name).map { String(cString: $0) }
            return value.flatMap { $0.isEmpty ? nil : $0 }
        }
        if accessKeyID != nil || secretAccessKey != nil {
            return try pair(accessKeyID, secretAccessKey, sessionToken, in: "the configuration")
        }
        let key = variable("AWS_ACCESS_KEY_ID")
        let secret = variable("AWS_SECRET_ACCESS_KEY")
        if profile == nil, key != nil || secret != nil {
            return try pair(
                key, secret.map { S3Secret($0) }, variable("AWS_SESSION_TOKEN").map { S3Secret($0) },
                in: "the environment")
        }
        let profile = profile ?? variable("AWS_PROFILE") ?? "default"
        let path = variable("AWS_SHARED_CREDENTIALS_FILE") ?? variable("HOME").map { "\($0)/.aws/credentials" }
        guard let text = try path.flatMap({ path throws(S3Error) in try read(path) }) else {
            throw S3Error(
                .configuration,
                "no S3 credentials: none in the configuration, in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                    + "or in a shared credentials file")
        }
        let values = section(profile, of: text)
        return try pair(
            values["aws_access_key_id"], values["aws_secret_access_key"].map { S3Secret($0) },
            values["aws_session_token"].map { S3Secret($0) },
            in: "profile \(profile) of the shared credentials file")
    }

    private static func pair(
        _ key: String?, _ secret: S3Secret?, _ token: S3Secret?, in place: String
    ) throws(S3Error) -> S3Credentials {
        guard let key, !key.isEmpty else { throw S3Error(.configuration, "no S3 access key id in \(place)") }
        guard let secret, !secret.revealed.isEmpty else {
            throw S3Error(.configuration, "no S3 secret access key in \(place)")
        }
        return S3Credentials(accessKeyID: key, secretAccessKey: secret, sessionToken: token)
    }

    /// The file's text, or `nil` when there is no such file.
    private static func read(_ path: String) throws(S3Error) -> String? {
        guard let file = fopen(path, "re") else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw S3Error(.configuration, "the shared credentials file cannot be read: errno \(errno)")
        }
        defer { fclose(file) }
        let bytes = [UInt8](unsafeUninitializedCapacity: maximumFileBytes) { buffer, count in
            count = fread(buffer.baseAddress, 1, maximumFileBytes, file)
        }
        guard ferror(file) == 0, bytes.count < maximumFileBytes, let text = String(validating: bytes, as: UTF8.self)
        else { throw S3Error(.configuration, "the shared credentials file cannot be read") }
        return text
    }

    /// The values of one section: `[name]`, then `key = value` lines; `#` and `;` begin comments.
    private static func section(_ name: String, of text: String) -> [String: String] {
        var values: [String: String] = [:]
        var isWanted = false
        for line in text.split(whereSeparator: \.isNewline) {
            let line = trim(line)
            if line.isEmpty || line.hasPrefix("#") || line.hasPrefix(";") { continue }
            if line.hasPrefix("["), line.hasSuffix("]") {
                isWanted = trim(line.dropFirst().dropLast()) == name
            } else if isWanted {
                let pair = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                if pair.count == 2 { values[trim(pair[0]).lowercased()] = String(trim(pair[1])) }
            }
        }
        return values
    }

    private static func trim(_ text: Substring) -> Substring {
        let start = text.drop(while: \.isWhitespace)
        guard let end = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return start[...end]
    }
}
