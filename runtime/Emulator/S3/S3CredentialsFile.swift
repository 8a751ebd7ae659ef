internal import Glibc
internal import ObjectStorage

/// The access key of a data directory: made once, in the form of AWS's shared credentials file, so that any S3 client
/// can be pointed at it (`AWS_SHARED_CREDENTIALS_FILE`).
enum S3CredentialsFile {
    /// The credentials in the file, which is made where it is missing. Blocks.
    static func load(_ path: String) throws -> S3Credentials {
        if let credentials = try read(path) { return credentials }
        let text = """
            [default]
            aws_access_key_id = FERRY\(random(15, of: "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
            aws_secret_access_key = \(random(40, of: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))

            """
        // Written whole and then linked, so that two hosts that start at once end up with one key.
        let temporary = "\(path).\(StagedFile.randomName())"
        defer { unlink(temporary) }
        try OpenFile(temporary, flags: O_WRONLY | O_CREAT | O_EXCL).write(Array(text.utf8))
        if link(temporary, path) != 0, errno != EEXIST { throw SystemError("link", path) }
        guard let credentials = try read(path) else {
            throw EmulatorError(.file, "\(path) is not a credentials file; remove it, and a new one is made.")
        }
        return credentials
    }

    private static func read(_ path: String) throws -> S3Credentials? {
        guard let bytes = try Folder.contents(of: path) else { return nil }
        var values: [String: String] = [:]
        for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
            let pair = line.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " } }
            if pair.count == 2 { values[pair[0]] = pair[1] }
        }
        guard let id = values["aws_access_key_id"], let secret = values["aws_secret_access_key"] else {
            throw EmulatorError(.file, "\(path) is not a credentials file; remove it, and a new one is made.")
        }
        return S3Credentials(accessKeyID: id, secretAccessKey: S3Secret(secret))
    }

    /// The system's generator is a cryptographic one.
    private static func random(_ count: Int, of alphabet: String) -> String {
        let characters = Array(alphabet)
        return String((0..<count).map { _ in characters[Int.random(in: 0..<characters.count)] })
    }
}
