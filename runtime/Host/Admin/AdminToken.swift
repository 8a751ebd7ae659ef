internal import Glibc

/// What callers of the admin listener must know.
public struct AdminToken: Sendable {
    private let bytes: [UInt8]

    /// Takes the configured token.
    public init(_ secret: Secret) { bytes = Array(secret.value.utf8) }

    /// Reads the token of a data folder, `admin.token`; makes one when there is none. Blocks on the file system.
    ///
    /// Hosts that share a data folder share the token. The file is there whole or not at all, with mode 0600.
    ///
    /// - Throws: ``LoaderError`` when the file can be neither read nor made, or when others may read it.
    public init(dataFolder: String) throws {
        let path = AdminToken.path(in: dataFolder)
        if !FileSystem.isFile(path) { try AdminToken.make(path) }
        var information = stat()
        guard stat(path, &information) == 0, information.st_mode & 0o077 == 0 else {
            throw LoaderError(.system, "\(path) must be for its owner only; set its mode to 0600, or delete it")
        }
        let text = String(decoding: try FileSystem.read(path, limit: 4096), as: UTF8.self)
        let token = text.split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
        guard token.utf8.count >= AdminToken.minimumLength else {
            throw LoaderError(.system, "\(path) holds no token; delete it, and the next start makes one")
        }
        self.init(Secret(token))
    }

    /// The fewest characters of a token.
    public static let minimumLength = 16

    /// Where a data folder's token lies.
    public static func path(in dataFolder: String) -> String { "\(dataFolder)/admin.token" }

    /// Whether a field `Authorization` holds the token; takes as long whatever differs.
    func authorizes(_ field: String?) -> Bool {
        guard let field, field.utf8.count > 7, field.prefix(7).lowercased() == "bearer " else { return false }
        let given = Array(field.utf8.dropFirst(7))
        var difference = UInt8(given.count == bytes.count ? 0 : 1)
        for index in bytes.indices { difference |= bytes[index] ^ (index < given.count ? given[index] : 0) }
        return difference == 0
    }

    private static func make(_ path: String) throws(LoaderError) {
        let token = (0..<4).map { _ in
            let part = String(UInt64.random(in: 0 ... .max), radix: 16)
            return String(repeating: "0", count: 16 - part.count) + part
        }.joined()
        let temporary = "\(path).\(getpid()).tmp"
        let line = Array((token + "\n").utf8)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("made", path) }
        defer { unlink(temporary) }
        let written = write(descriptor, line, line.count)
        guard close(descriptor) == 0, written == line.count else { throw failure("written", path) }
        // Of several hosts that start at once, one makes it and the others read that.
        guard link(temporary, path) == 0 || errno == EEXIST else { throw failure("made", path) }
    }

    private static func failure(_ what: String, _ path: String) -> LoaderError {
        LoaderError(.system, "\(path) cannot be \(what): \(String(cString: strerror(errno)))")
    }
}
