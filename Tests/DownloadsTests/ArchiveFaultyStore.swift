import Checksum
import FunctionKit
import NIOCore
import Synchronization
import ZipArchive

/// An object store in memory that fails where it is told to.
final class ArchiveFaultyStore: ObjectStore {
    /// What happens to the next read of a key.
    enum ReadFault: Sendable {
        /// So many bytes come, then the connection breaks.
        case cut(after: Int)
        /// So many bytes come, and nothing says that more were to come.
        case endEarly(after: Int)
        /// The request fails as a whole.
        case refuse
        /// It is gone.
        case vanish
        /// One byte is wrong.
        case corrupt(at: Int)
        /// Before this read the object is replaced.
        case replace(with: ByteBuffer)
        /// Each chunk takes so long.
        case slow(Duration)
        /// So many bytes come, then nothing until the reader gives up.
        case stall(after: Int)
        /// More bytes come than announced.
        case overrun
        /// All is well.
        case none
    }

    struct Failure: Error, ClassifiedError {
        var errorClass: ErrorClass = .storage
        var description: String { "503 SlowDown" }
    }

    struct StoredObject: Sendable {
        var contents: ByteBuffer
        var version: Int
        var keepsChecksum: Bool
        var keepsTag: Bool
    }

    struct State: Sendable {
        var objects: [String: StoredObject] = [:]
        var uploads: [String: [Int: ByteBuffer]] = [:]
        var listedUploads: [ObjectUpload] = []
        /// When objects were written whose age matters.
        var modified: [String: Timestamp] = [:]
        var deleteFailures: Set<String> = []
        var listFails = false
        var pageSize = 1_000
        var versions = 0
        var readFaults: [String: [ReadFault]] = [:]
        var headFailures: Set<String> = []
        var headFailureClass = ErrorClass.storage
        var partFailures: [Int: Int] = [:]
        var completeFails = false
        /// The store answers with success and keeps something else.
        var completeLoses = false
        var writeFails = false
        // What was seen.
        var begun = 0
        var aborted = 0
        var reads: [(key: String, range: Range<Int64>?)] = []
        var partOrder: [Int] = []
        var reading = 0
        var mostReading = 0
        var sending = 0
        var mostSending = 0
    }

    let state = Mutex(State())
    let bucket = "bucket"
    private let chunkBytes: Int

    init(chunkBytes: Int = 10_000) { self.chunkBytes = chunkBytes }

    func put(_ key: String, _ contents: ByteBuffer, checksum: Bool = false, tag: Bool = true) {
        state.withLock { state in
            state.versions += 1
            state.objects[key] = StoredObject(
                contents: contents, version: state.versions, keepsChecksum: checksum, keepsTag: tag)
        }
    }

    func fail(_ key: String, _ faults: ReadFault...) { state.withLock { $0.readFaults[key] = faults } }

    func contents(_ key: String) -> ByteBuffer? { state.withLock { $0.objects[key]?.contents } }

    var archives: [String] { state.withLock { $0.objects.keys.filter { $0.hasPrefix("archives/") } } }

    private static func info(_ key: String, _ object: StoredObject) -> ObjectInfo {
        ObjectInfo(
            key: key, sizeBytes: Int64(object.contents.readableBytes),
            etag: object.keepsTag ? "\"\(object.version)\"" : nil,
            crc32: object.keepsChecksum ? CRC32(of: object.contents).value : nil,
            modifiedAt: Timestamp(milliseconds: 1_700_000_000_000 + Int64(object.version) * 10_000))
    }

    func head(_ key: String) async throws -> ObjectInfo? {
        try state.withLock { state in
            if state.headFailures.contains(key) { throw Failure(errorClass: state.headFailureClass) }
            return state.objects[key].map { Self.info(key, $0) }
        }
    }

    func read(_ key: String, range: Range<Int64>?) async throws -> ObjectBody? {
        let (object, fault) = state.withLock { state -> (StoredObject?, ReadFault) in
            state.reads.append((key, range))
            var fault = ReadFault.none
            if var faults = state.readFaults[key], !faults.isEmpty {
                fault = faults.removeFirst()
                // The last one stays.
                if !faults.isEmpty { state.readFaults[key] = faults }
            }
            if case .replace(let contents) = fault {
                state.versions += 1
                state.objects[key]?.contents = contents
                state.objects[key]?.version = state.versions
            }
            state.reading += 1
            state.mostReading = max(state.mostReading, state.reading)
            return (state.objects[key], fault)
        }
        defer { state.withLock { $0.reading -= 1 } }
        await Task.yield()
        try Task.checkCancellation()
        if case .refuse = fault { throw Failure() }
        if case .vanish = fault { return nil }
        guard let object else { return nil }
        var contents = object.contents
        if case .corrupt(let index) = fault {
            contents.setInteger((contents.getInteger(at: index) ?? 0) ^ (1 as UInt8), at: index)
        }
        if case .overrun = fault { contents.writeString("more") }
        if let range, let slice = contents.getSlice(at: Int(range.lowerBound), length: range.count) {
            contents = slice
        }
        var limit = contents.readableBytes
        switch fault {
        case .cut(let after), .endEarly(let after), .stall(let after): limit = min(limit, after)
        default: break
        }
        var rest = contents.getSlice(at: contents.readerIndex, length: limit) ?? contents
        let chunkBytes = chunkBytes
        let cursor = Mutex(rest)
        rest.clear()
        let chunks = AsyncThrowingStream<ByteBuffer, any Error> {
            if case .slow(let delay) = fault { try await Task.sleep(for: delay) }
            let chunk = cursor.withLock { rest in
                rest.readSlice(length: min(rest.readableBytes, chunkBytes)) ?? ByteBuffer()
            }
            if chunk.readableBytes > 0 { return chunk }
            switch fault {
            case .cut: throw Failure(errorClass: .network)
            case .stall:
                try await Task.sleep(for: .seconds(60))
                throw Failure(errorClass: .timeout)
            default: return nil
            }
        }
        return ObjectBody(info: Self.info(key, object), chunks: chunks)
    }

    func write(_ key: String, body: ByteBuffer, contentType: String, checksum: UInt32?) async throws {
        if state.withLock({ $0.writeFails }) { throw Failure() }
        guard checksum == nil || checksum == CRC32(of: body).value else { throw Failure() }
        put(key, body)
    }

    func beginUpload(_ key: String, contentType: String) async throws -> ObjectUpload {
        state.withLock { state in
            state.begun += 1
            state.uploads["upload-\(state.begun)"] = [:]
            let upload = ObjectUpload(key: key, id: "upload-\(state.begun)", initiatedAt: .now)
            state.listedUploads.append(upload)
            return upload
        }
    }

    func uploadPart(_ upload: ObjectUpload, number: Int, body: [ByteBuffer]) async throws -> ObjectPart {
        state.withLock { state in
            state.sending += 1
            state.mostSending = max(state.mostSending, state.sending)
        }
        defer { state.withLock { $0.sending -= 1 } }
        try await Task.sleep(for: .microseconds(200))
        return try state.withLock { state in
            if let left = state.partFailures[number], left > 0 {
                state.partFailures[number] = left - 1
                throw Failure()
            }
            var bytes = ByteBuffer()
            for piece in body { bytes.writeImmutableBuffer(piece) }
            guard state.uploads[upload.id] != nil else { throw Failure() }
            state.uploads[upload.id]?[number] = bytes
            state.partOrder.append(number)
            return ObjectPart(number: number, etag: "\"\(CRC32(of: bytes).value)\"")
        }
    }

    func completeUpload(_ upload: ObjectUpload, parts: [ObjectPart]) async throws {
        let whole = try state.withLock { state in
            guard !state.completeFails, let stored = state.uploads[upload.id] else { throw Failure() }
            var whole = ByteBuffer()
            for part in parts {
                guard let bytes = stored[part.number], part.etag == "\"\(CRC32(of: bytes).value)\"" else {
                    throw Failure()
                }
                whole.writeImmutableBuffer(bytes)
            }
            state.uploads[upload.id] = nil
            state.listedUploads.removeAll { $0.id == upload.id }
            if state.completeLoses { whole.moveReaderIndex(forwardBy: 1) }
            return whole
        }
        put(upload.key, whole)
    }

    func abortUpload(_ upload: ObjectUpload) async throws {
        try Task.checkCancellation()
        try state.withLock { state in
            if state.deleteFailures.contains(upload.id) { throw Failure() }
            state.aborted += 1
            state.uploads[upload.id] = nil
            state.listedUploads.removeAll { $0.id == upload.id }
        }
    }

    func listUploads(prefix: String, after: ObjectUpload?) async throws -> ObjectUploadPage {
        try state.withLock { state in
            if state.listFails { throw Failure() }
            let all = state.listedUploads.filter { $0.key.hasPrefix(prefix) }.sorted {
                ($0.key, $0.id) < ($1.key, $1.id)
            }
            let rest = all.filter { upload in after.map { ($0.key, $0.id) < (upload.key, upload.id) } ?? true }
            let page = Array(rest.prefix(state.pageSize))
            return ObjectUploadPage(uploads: page, next: page.count < rest.count ? page.last : nil)
        }
    }

    func delete(_ key: String) async throws {
        try Task.checkCancellation()
        try state.withLock { state in
            if state.deleteFailures.contains(key) { throw Failure() }
            state.objects[key] = nil
        }
    }

    func list(prefix: String, after: String?, limit: Int) async throws -> [ObjectInfo] {
        try state.withLock { state in
            if state.listFails { throw Failure() }
            return state.objects.sorted { $0.key < $1.key }
                .filter { $0.key.hasPrefix(prefix) && $0.key > after ?? "" }.prefix(min(limit, state.pageSize))
                .map { key, object in
                    let info = Self.info(key, object)
                    return ObjectInfo(
                        key: key, sizeBytes: info.sizeBytes, etag: info.etag, crc32: nil,
                        modifiedAt: state.modified[key] ?? info.modifiedAt)
                }
        }
    }

    func presignedURL(for key: String, expiresIn: Duration, fileName: String?) throws -> String { key }

    func check() async throws {}
}
