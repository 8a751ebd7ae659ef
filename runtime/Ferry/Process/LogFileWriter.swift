import Glibc

/// The file behind a ``LogFile``, on the thread that writes.
struct LogFileWriter: ~Copyable {
    private let folder: String
    private let name: String
    private let rotationBytes: Int
    private var descriptor: CInt = -1
    private var size = 0
    private var hasFailed = false

    init(folder: String, name: String, rotationBytes: Int) {
        self.folder = folder
        self.name = name
        self.rotationBytes = rotationBytes
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Writes whole lines. What cannot be written is lost, and the first time said so on standard error, where every line
    /// is anyway.
    mutating func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            var chunk = rest
            if rest.count > rotationBytes - size {
                // As many whole lines as there is room for; a line that is too long for any file has one of its own.
                let fitting = rest.prefix(max(0, rotationBytes - size)).lastIndex(of: UInt8(ascii: "\n"))
                if fitting == nil, size > 0 {
                    rotate()
                    continue
                }
                if let end = fitting ?? rest.firstIndex(of: UInt8(ascii: "\n")) { chunk = rest[...end] }
            }
            append(chunk)
            rest = rest[chunk.endIndex...]
        }
    }

    private mutating func append(_ chunk: ArraySlice<UInt8>) {
        if descriptor < 0, !open() { return failed() }
        var rest = chunk
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return failed() }
            rest = rest.dropFirst(count)
            size += count
        }
    }

    private mutating func failed() {
        guard !hasFailed else { return }
        hasFailed = true
        let reason = String(cString: strerror(errno))
        LogOutput.write("ferry: the log \(folder)/\(name).jsonl cannot be written: \(reason)\n", to: STDERR_FILENO)
    }

    private mutating func open() -> Bool {
        guard LogFolder.make(folder) else { return false }
        LogFolder.prune(folder)
        descriptor = Glibc.open("\(folder)/\(name).jsonl", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return false }
        // Others hold it for a moment only, when they look whether this process lives.
        flock(descriptor, LOCK_EX)
        size = 0
        return true
    }

    private mutating func rotate() {
        size = 0
        guard descriptor >= 0 else { return }
        // Renamed while it is open and locked: readers that have it open read on to its end.
        rename("\(folder)/\(name).jsonl", "\(folder)/\(name).1.jsonl")
        close(descriptor)
        descriptor = -1
    }
}
