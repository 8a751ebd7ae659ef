internal import Glibc

/// A secret in a file that somebody else has put there, such as `/run/secrets/redis`. Blocks on the file system.
struct MountedSecret {
    static let maxBytes = 64 << 10

    let text: String
    /// Whether every user of this machine may read it.
    let isPublic: Bool

    /// Reads a file; the end of its last line is not of the secret.
    ///
    /// - Throws: ``LoaderError``, which names the file and never shows what is in it.
    init(_ path: String, mayBePipe: Bool = false) throws(LoaderError) {
        var bytes = try FileSystem.read(path, limit: MountedSecret.maxBytes, mayBePipe: mayBePipe)
        isPublic = FileSystem.isPublic(path)
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard !bytes.isEmpty else { throw LoaderError(.system, "\(path) is empty") }
        guard let text = String(validating: bytes, as: UTF8.self), !text.utf8.contains(0) else {
            throw LoaderError(.system, "\(path) is not text in UTF-8")
        }
        self.text = text
    }
}

extension Secret {
    /// Reads a secret from a file or a pipe, up to 64 KiB of UTF-8; the end of its last line is not of it. Blocks.
    ///
    /// - Throws: ``LoaderError``, which names the file and never shows what is in it.
    public init(contentsOf path: String) throws(LoaderError) {
        self.init(try MountedSecret(path, mayBePipe: true).text)
    }
}

extension FileSystem {
    /// Whether every user of this machine may read a file.
    static func isPublic(_ path: String) -> Bool {
        var information = stat()
        return stat(path, &information) == 0 && information.st_mode & 0o004 != 0
    }
}
