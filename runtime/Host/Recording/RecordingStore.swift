internal import Glibc
internal import Synchronization

/// The recordings of a data folder, `recordings/<time>-<function>-<id>.json`; the oldest go where there are too many.
///
/// Everything blocks on the file system. A process counts what it found at first and what it wrote since; it looks again
/// where that is too much, so that hosts may share a folder.
final class RecordingStore: Sendable {
    private struct State {
        var isKnown = false
        var fileCount = 0
        var bytes = 0
    }

    private let folder: String
    private let limits: InvocationRecorder.Limits
    // Held while files are written; only the recorder's one thread does that.
    private let state = Mutex(State())

    init(folder: String, limits: InvocationRecorder.Limits) {
        self.folder = folder
        self.limits = limits
    }

    /// Writes a recording, whole or not at all, for its owner's eyes only.
    func write(_ bytes: [UInt8], name: String) throws(LoaderError) {
        try state.withLock { state throws(LoaderError) in
            if !state.isKnown {
                try FileSystem.makeFolder(folder, isPrivate: true)
                guard chmod(folder, 0o700) == 0 else { throw FileSystem.failure("set the mode of", folder) }
                try look(&state)
            }
            try FileSystem.write(bytes, to: "\(folder)/\(name)", mode: 0o600)
            state.fileCount += 1
            state.bytes += bytes.count
            if state.fileCount > limits.fileCount || state.bytes > limits.totalBytes { try look(&state) }
        }
    }

    /// Counts the recordings and removes the oldest until what is left is within the limits, with some room.
    private func look(_ state: inout State) throws(LoaderError) {
        let names = try FileSystem.names(in: folder).filter { $0.hasSuffix(".json") }
        let files = names.map { (name: $0, bytes: Int(FileSystem.stamp("\(folder)/\($0)")?.sizeBytes ?? 0)) }
        var (count, bytes) = (files.count, files.reduce(0) { $0 + $1.bytes })
        if count > limits.fileCount || bytes > limits.totalBytes {
            // Names begin with their times.
            for file in files where count > limits.fileCount * 9 / 10 || bytes > limits.totalBytes / 10 * 9 {
                FileSystem.remove("\(folder)/\(file.name)")
                count -= 1
                bytes -= file.bytes
            }
        }
        state = State(isKnown: true, fileCount: count, bytes: bytes)
    }
}
