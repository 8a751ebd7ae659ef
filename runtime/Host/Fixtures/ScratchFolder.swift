internal import Glibc

/// A folder for the time of a command. Everything here blocks on the file system.
public struct ScratchFolder: Sendable {
    /// Its path, short enough for the names of sockets in it.
    public let path: String

    /// The longest path of `TMPDIR`, in bytes: a socket's path may have 107.
    private static let parentLimit = 60

    /// Makes an empty folder of mode 0700 in `TMPDIR`, or in `/tmp` where that is not set or its path too long.
    ///
    /// - Throws: ``LoaderError`` with code `.system` when it cannot be made.
    public init() throws(LoaderError) {
        let given = FileSystem.environment("TMPDIR") ?? ""
        let parent = given.hasPrefix("/") && given.utf8.count <= Self.parentLimit ? given : "/tmp"
        var template = Array("\(parent)/ferry-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FileSystem.failure("create a folder in", parent) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Removes it with all in it.
    public func remove() { FileSystem.remove(path) }
}
