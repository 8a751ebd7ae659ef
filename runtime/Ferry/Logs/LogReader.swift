import Glibc

/// Reads the lines of one process's log, the older file first, and follows it over its rotations.
///
/// Holds one chunk of the file and one line, however large the log is.
struct LogReader: ~Copyable {
    private let files: [String]
    private var descriptor: CInt = -1
    private var identity: Identity?
    private var buffer: [UInt8] = []
    private var start = 0
    private var nextEntry: LogEntry?

    /// The longest line; of longer ones the rest is left out.
    private static let lineLimit = 1 << 20
    private static let chunkBytes = 64 << 10

    /// Opens the log of a name in a folder.
    init(_ folder: String, _ name: String) {
        files = LogFolder.files(folder, name)
        openFirst()
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// The time of the next line that is there, or `nil` when all have been taken so far.
    mutating func peek() -> String? {
        while nextEntry == nil {
            if let line = line() {
                nextEntry = LogEntry(line)
            } else if !advance() {
                return nil
            }
        }
        return nextEntry?.time
    }

    /// Takes the line that ``peek()`` has found.
    mutating func take() -> LogEntry? {
        defer { nextEntry = nil }
        return nextEntry
    }

    /// A whole line of what has been read, or of what can be read now.
    private mutating func line() -> ArraySlice<UInt8>? {
        var searchedCount = 0
        while true {
            if let end = buffer[(start + searchedCount)...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = end + 1 }
                return buffer[start..<end]
            }
            searchedCount = buffer.count - start
            guard fill() else { return nil }
            // A line that was too long has been dropped.
            if buffer.count < searchedCount { searchedCount = 0 }
        }
    }

    /// Reads on; what has been taken makes room.
    private mutating func fill() -> Bool {
        guard descriptor >= 0 else { return false }
        var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
        var count = read(descriptor, &chunk, chunk.count)
        while count < 0, errno == EINTR { count = read(descriptor, &chunk, chunk.count) }
        guard count > 0 else { return false }
        buffer.removeFirst(start)
        start = 0
        if buffer.count > Self.lineLimit { buffer.removeAll() }
        buffer.append(contentsOf: chunk[..<count])
        return true
    }

    private struct Identity: Equatable {
        let device: UInt64
        let inode: UInt64

        init(_ information: stat) {
            device = UInt64(information.st_dev)
            inode = UInt64(information.st_ino)
        }
    }

    private static func identity(_ path: String) -> Identity? {
        var information = stat()
        return stat(path, &information) == 0 ? Identity(information) : nil
    }

    /// Goes on to the newer file once the open one has been read to its end and is no longer the one that is written.
    private mutating func advance() -> Bool {
        guard descriptor >= 0 else { return openFirst() }
        guard let current = Self.identity(files[1]), current != identity else { return false }
        // Between the last read and the rotation lines may have come.
        if fill() { return true }
        // The one that was read is the older file by now, unless there were several rotations.
        let isOlder = Self.identity(files[0]).map { $0 == identity } ?? true
        close(descriptor)
        descriptor = -1
        return open(files[isOlder ? 1 : 0])
    }

    /// Opens the older file, or the newer where there is no older one.
    @discardableResult
    private mutating func openFirst() -> Bool {
        if open(files[0]) { return true }
        return open(files[1])
    }

    private mutating func open(_ path: String) -> Bool {
        let opened = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard opened >= 0 else { return false }
        var information = stat()
        guard fstat(opened, &information) == 0 else {
            close(opened)
            return false
        }
        descriptor = opened
        identity = Identity(information)
        buffer.removeAll()
        start = 0
        return true
    }
}
