import Downloads
import FunctionKit
import NIOCore
import Synchronization
import Testing

/// A store with files, and a builder on it with small bounds.
struct ArchiveFixture {
    let store = ArchiveFaultyStore()
    var policy = ArchivePolicy()
    var request = ArchiveRequest(
        sources: [], key: "archives/job/1-1.zip",
        at: Timestamp(milliseconds: 1_700_000_000_000))
    private(set) var members: [(name: String, contents: ByteBuffer)] = []

    init() {
        policy.partSizeBytes = 100_000
        policy.fetchWholeBytes = 20_000
        policy.firstBackoff = .milliseconds(1)
        policy.maximumBackoff = .milliseconds(2)
        policy.progressInterval = .zero
    }

    /// Adds a file; `nil` contents give one that is missing.
    mutating func add(_ id: Int64, _ contents: ByteBuffer?, checksum: Bool = false, tag: Bool = true) {
        let key = Self.key(id)
        request.sources.append(ArchiveSource(fileID: id, key: key, name: "\(id).bin"))
        guard let contents else { return }
        store.put(key, contents, checksum: checksum, tag: tag)
        members.append(("\(id).bin", contents))
    }

    /// What the member will hold after the file was replaced.
    mutating func expect(_ id: Int64, _ contents: ByteBuffer) {
        for index in members.indices where members[index].name == "\(id).bin" { members[index].contents = contents }
    }

    /// A file that will be left out.
    mutating func expectWithout(_ id: Int64) { members.removeAll { $0.name == "\(id).bin" } }

    mutating func expectManifest(_ json: String) {
        members.append(("_manifest.json", ByteBuffer(string: json)))
    }

    static func key(_ id: Int64) -> String { "downloads/\(id).bin" }

    /// Bytes that differ from file to file and place to place.
    static func bytes(_ count: Int, seed: UInt64) -> ByteBuffer {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        var buffer = ByteBuffer()
        buffer.reserveCapacity(count + 8)
        for _ in 0..<(count + 7) / 8 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            buffer.writeInteger(state)
        }
        return buffer.getSlice(at: 0, length: count) ?? ByteBuffer()
    }

    @discardableResult
    func build(_ callbacks: ArchiveCallbacks = ArchiveCallbacks()) async throws -> ArchiveResult {
        var logger = Logger(label: "archive-tests")
        logger.logLevel = .critical
        return try await ArchiveBuilder(store: store, policy: policy, logger: logger)
            .build(request, callbacks: callbacks)
    }

    /// Builds, and has every reader compare the members.
    @discardableResult
    func verify(
        _ callbacks: ArchiveCallbacks = ArchiveCallbacks(), location: SourceLocation = #_sourceLocation
    ) async throws -> ArchiveResult {
        let result = try await build(callbacks)
        let archive = try #require(store.contents(result.key), sourceLocation: location)
        #expect(result.sizeBytes == Int64(archive.readableBytes), sourceLocation: location)
        #expect(store.state.withLock { $0.uploads.isEmpty }, sourceLocation: location)
        try await ArchiveReaders.verify(archive, members, location: location)
        return result
    }

    /// Nothing may be left of an attempt that failed.
    func expectNothingLeft(location: SourceLocation = #_sourceLocation) {
        #expect(store.archives.isEmpty, sourceLocation: location)
        store.state.withLock { state in
            #expect(state.uploads.isEmpty, sourceLocation: location)
            #expect(state.sending == 0 && state.reading == 0, sourceLocation: location)
        }
    }
}

/// Collects what the callbacks tell.
final class ArchiveEvents: Sendable {
    struct Seen: Sendable {
        var planned: [Int64] = []
        var uploads: [String] = []
        var files: [ArchivedFile] = []
        var progress: [Int64] = []
    }

    let seen = Mutex(Seen())

    var callbacks: ArchiveCallbacks {
        ArchiveCallbacks(
            onPlanned: { bytes in self.seen.withLock { $0.planned.append(bytes) } },
            onUploadBegun: { id in self.seen.withLock { $0.uploads.append(id) } },
            onFileFinished: { file in self.seen.withLock { $0.files.append(file) } },
            onProgress: { bytes in self.seen.withLock { $0.progress.append(bytes) } })
    }
}
