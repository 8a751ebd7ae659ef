import Foundation
import FunctionKit
import JobHistory
import Logging
import NIOPosix
import RedisClient
import Synchronization
import TestSupport
import Testing

@testable import Downloads

/// Real Redis, real history, an object store in memory and a queue that notes what it is given.
struct DownloadBench: Sendable {
    let redis: RedisClient
    let keyValue: SwitchedKeyValue
    let history: SwitchedHistory
    let objects = HookedObjects()
    let queue = NotingQueue()
    let webhooks = NotingWebhooks()
    var settings = DownloadsConfiguration()
    var callbacks = CallbacksConfiguration()

    var store: JobStore { JobStore(keyValue, retention: settings.recordRetention) }

    func context(
        attempt: Int = 1, timeLimit: Duration = .seconds(60), user: User? = nil, reports: Reports? = nil
    ) -> Context {
        var sections = Settings()
        sections[DownloadsConfiguration.self] = settings
        sections[CallbacksConfiguration.self] = callbacks
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return Context(
            logger: logger, function: "test", requestID: "request-1", deadline: .now + timeLimit, attempt: attempt,
            user: user,
            bindings: Bindings(
                keyValue: keyValue, objects: objects, history: history, queues: queue, webhooks: webhooks,
                settings: sections),
            reportProgress: reports.map { reports in { @Sendable json in reports.all.withLock { $0.append(json) } } })
    }

    /// A job as `initiate` leaves it.
    func accept(_ ids: [Int64], onMissing: MissingFilePolicy = .skip, name: String? = nil) async throws -> JobRecord {
        let text = """
            {"file_ids":\(ids),"on_missing":"\(onMissing)"\(name.map { ",\"archive_name\":\"\($0)\"" } ?? "")}
            """
        let job = try await JobIntake(context()).accept(DownloadRequest(.post(text), defaultPolicy: .skip))
        return try await record(job.id)
    }

    func job(_ record: JobRecord, attempt: Int = 1, maxAttempts: Int = 3) -> QueueJob<DownloadTask> {
        QueueJob(
            id: record.id.description, name: "download", queue: DownloadTask.queue,
            payload: DownloadTask(record, requestID: "r"), attempt: attempt, maxAttempts: maxAttempts, addedAt: .now)
    }

    /// Redis is away, or is back.
    func setRedis(away isAway: Bool) {
        keyValue.fails.withLock { $0 = { _ in isAway } }
        queue.isAway.withLock { $0 = isAway }
    }

    func record(_ id: JobID) async throws -> JobRecord { try #require(try await store.load(id)) }

    func row(_ id: JobID) async throws -> HistoryJob { try #require(try await history.find(id.description)) }

    /// Runs a body with everything fresh, and ends all of it.
    static func with<R>(_ body: (DownloadBench) async throws -> R) async throws -> R {
        let server = try RedisServer()
        defer { server.remove() }
        let deadline = ContinuousClock.now + .seconds(20)
        while !FileManager.default.fileExists(atPath: server.socket) {
            try #require(ContinuousClock.now < deadline, "redis-server did not start")
            try await Task.sleep(for: .milliseconds(5))
        }
        var configuration = try RedisConfiguration(url: server.url)
        configuration.commandTimeout = .seconds(20)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let client = RedisClient(configuration, group: group, logger: Logger(label: "test"))
        let database = try SQLiteHistory(path: server.folder + "/history.sqlite")
        let result: Result<R, any Error>
        do {
            result = .success(
                try await body(
                    DownloadBench(
                        redis: client, keyValue: SwitchedKeyValue(client), history: SwitchedHistory(database))))
        } catch {
            result = .failure(error)
        }
        await database.close()
        await client.close()
        try await group.shutdownGracefully()
        return try result.get()
    }
}

/// What a worker reported to its queue.
final class Reports: Sendable {
    let all = Mutex<[String]>([])
}

struct StoreIsAway: Error, ClassifiedError {
    var errorClass: ErrorClass { .network }
    var isUnavailable: Bool { true }
    var description: String { "10.0.0.7:6379 refused" }
}

/// Redis, until it is switched off.
final class SwitchedKeyValue: KeyValueStore {
    private let store: any KeyValueStore
    /// Calls for which this is true fail without having been sent.
    let fails = Mutex<@Sendable (_ script: String?) -> Bool>({ _ in false })
    /// Stands for the store's subscriptions.
    let subscription = Mutex<ScriptedSubscription?>(nil)

    init(_ store: any KeyValueStore) { self.store = store }

    func send(_ command: [String]) async throws -> RESPValue {
        if fails.withLock({ $0(nil) }) { throw StoreIsAway() }
        return try await store.send(command)
    }

    func evaluate(_ script: StoreScript, keys: [String], arguments: [String]) async throws -> RESPValue {
        if fails.withLock({ $0(script.name) }) { throw StoreIsAway() }
        return try await store.evaluate(script, keys: keys, arguments: arguments)
    }

    func listen(to channel: String) async throws -> any ChannelSubscription {
        if fails.withLock({ $0(nil) }) { throw StoreIsAway() }
        if let subscription = subscription.withLock({ $0 }) { return subscription }
        return try await store.listen(to: channel)
    }

    func check() async throws { try await store.check() }
}

/// An object store in memory, with hooks before an archive is written or deleted, and URLs that show what they were made of.
final class HookedObjects: ObjectStore {
    let inner = ArchiveFaultyStore()
    let beforeWrite = Mutex<@Sendable (String) async throws -> Void>({ _ in })
    let beforeDelete = Mutex<@Sendable (String) async throws -> Void>({ _ in })

    var bucket: String { inner.bucket }

    /// Adds a source file of so many bytes.
    func add(_ id: Int64, _ count: Int = 1_000) {
        inner.put("downloads/\(id).zip", ArchiveFixture.bytes(count, seed: UInt64(id)))
    }

    func write(_ key: String, body: ByteBuffer, contentType: String, checksum: UInt32?) async throws {
        try await beforeWrite.withLock { $0 }(key)
        try await inner.write(key, body: body, contentType: contentType, checksum: checksum)
    }

    func presignedURL(for key: String, expiresIn: Duration, fileName: String?) throws -> String {
        "https://store/\(key)?expires=\(expiresIn.components.seconds)&name=\(fileName ?? "")"
    }

    func head(_ key: String) async throws -> ObjectInfo? { try await inner.head(key) }
    func read(_ key: String, range: Range<Int64>?) async throws -> ObjectBody? {
        try await inner.read(key, range: range)
    }
    func beginUpload(_ key: String, contentType: String) async throws -> ObjectUpload {
        try await inner.beginUpload(key, contentType: contentType)
    }
    func uploadPart(_ upload: ObjectUpload, number: Int, body: [ByteBuffer]) async throws -> ObjectPart {
        try await inner.uploadPart(upload, number: number, body: body)
    }
    func completeUpload(_ upload: ObjectUpload, parts: [ObjectPart]) async throws {
        try await inner.completeUpload(upload, parts: parts)
    }
    func abortUpload(_ upload: ObjectUpload) async throws { try await inner.abortUpload(upload) }
    func listUploads(prefix: String, after: ObjectUpload?) async throws -> ObjectUploadPage {
        try await inner.listUploads(prefix: prefix, after: after)
    }
    func delete(_ key: String) async throws {
        try await beforeDelete.withLock { $0 }(key)
        try await inner.delete(key)
    }
    func list(prefix: String, after: String?, limit: Int) async throws -> [ObjectInfo] {
        try await inner.list(prefix: prefix, after: after, limit: limit)
    }
    func check() async throws { try await inner.check() }
}

extension Request {
    static func post(_ body: String, type: String? = "application/json") -> Request {
        Request(
            method: .post, path: "/", headers: type.map { [.contentType: $0] } ?? [:], body: ByteBuffer(string: body))
    }

    static func get(_ id: String, headers: HTTPFields = [:]) -> Request {
        Request(method: .get, path: "/", headers: headers, parameters: ["jobId": id])
    }
}

/// The HTTP error that a call ends with.
func httpError(_ body: () async throws -> some Any) async -> HTTPError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? HTTPError
    }
}

/// A JSON object as Foundation reads it.
func object(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
}

func object(_ response: Response) throws -> [String: Any] { try object(String(buffer: response.body)) }

func eventually(_ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(20)
    while try await !condition() {
        try #require(ContinuousClock.now < deadline, "the condition did not come true")
        try await Task.sleep(for: .milliseconds(2))
    }
}
