internal import Glibc

/// A secret in a file of a data folder, which the first process makes. Blocks on the file system.
///
/// Hosts that share a data folder share it. The file is there whole or not at all, with mode 0600.
enum SecretFile {
    /// Reads a secret; makes one of 64 hexadecimal digits when there is no such file.
    ///
    /// - Throws: ``LoaderError`` when the file can be neither read nor made, when others may read it, or when it holds
    ///   fewer characters than `minimumLength`.
    static func read(_ path: String, minimumLength: Int) throws -> String {
        if !FileSystem.isFile(path) { try make(path) }
        var information = stat()
        guard stat(path, &information) == 0, information.st_mode & 0o077 == 0 else {
            throw LoaderError(.system, "\(path) must be for its owner only; set its mode to 0600, or delete it")
        }
        let text = String(decoding: try FileSystem.read(path, limit: 4096), as: UTF8.self)
        let secret = text.split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
        guard secret.utf8.count >= minimumLength else {
            throw LoaderError(.system, "\(path) holds no token; delete it, and the next start makes one")
        }
        return secret
    }

    private static func make(_ path: String) throws(LoaderError) {
        let secret = (0..<4).map { _ in
            let part = String(UInt64.random(in: 0 ... .max), radix: 16)
            return String(repeating: "0", count: 16 - part.count) + part
        }.joined()
        let temporary = "\(path).\(getpid()).tmp"
        let line = Array((secret + "\n").utf8)
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
