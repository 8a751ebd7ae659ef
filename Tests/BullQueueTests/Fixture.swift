import BullQueue
import Foundation
import FunctionKit
import Logging
import NIOCore
import NIOPosix
import RedisClient
import Synchronization
import TestSupport
import Testing

/// What a test works with.
struct Fixture: Sendable {
    static let queue = "q"
    let redis: RedisServer
    let client: RedisClient
    let logger: Logger

    var loop: any EventLoop { MultiThreadedEventLoopGroup.singleton.next() }
    var keys: BullKeys { get throws { try BullKeys(queue: Fixture.queue) } }

    static func with<Result>(
        appendOnly: Bool = false, _ body: (Fixture) async throws -> Result
    ) async throws -> Result {
        let redis = try RedisServer(
            options: appendOnly ? ["--appendonly", "yes", "--appendfsync", "always"] : [])
        defer { redis.remove() }
        var logger = Logger(label: "test")
        logger.logLevel = ProcessInfo.processInfo.environment["BULL_LOG"] == nil ? .critical : .trace
        let fixture = Fixture(redis: redis, client: try newClient(redis, logger), logger: logger)
        try await eventually("the server answers") { (try? await fixture.client.check()) != nil }
        do {
            let result = try await body(fixture)
            await fixture.client.close()
            return result
        } catch {
            await fixture.client.close()
            throw error
        }
    }

    static func newClient(_ redis: RedisServer, _ logger: Logger) throws -> RedisClient {
        RedisClient(
            try RedisConfiguration(url: "unix:" + redis.socket), group: MultiThreadedEventLoopGroup.singleton,
            logger: logger)
    }

    func producer(policy: BullProducer.Policy = .init(attempts: 1, backoff: nil)) throws -> BullProducer {
        try BullProducer(queue: Fixture.queue, client: client, policy: policy)
    }

    func worker(
        _ change: (inout BullWorkerOptions) -> Void = { _ in }, client: RedisClient? = nil,
        handler: @escaping BullWorker.Handler
    ) throws -> BullWorker {
        var options = BullWorkerOptions()
        options.drainDelay = .seconds(1)
        change(&options)
        return try BullWorker(
            queue: Fixture.queue, options: options, client: client ?? self.client,
            lockLoop: MultiThreadedEventLoopGroup.singleton.next(), logger: logger, handler: handler)
    }

    /// Runs a worker while `body` runs, and shuts it down then.
    func running(_ workers: BullWorker..., body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in workers { group.addTask { try await worker.run() } }
            do {
                try await body()
            } catch {
                for worker in workers { worker.shutdown(grace: .zero) }
                throw error
            }
            for worker in workers { worker.shutdown(grace: .seconds(5)) }
            try await group.waitForAll()
        }
    }

    @discardableResult
    func call(_ command: String...) async throws -> RESPValue { try await client.send(RedisCommand(command)) }

    func strings(_ command: String...) async throws -> [String] {
        try await client.send(RedisCommand(command)).array?.compactMap(\.string) ?? []
    }

    func hash(_ id: String) async throws -> [String: String] {
        let flat = try await strings("HGETALL", "bull:q:\(id)")
        var fields: [String: String] = [:]
        for index in stride(from: 0, to: flat.count - 1, by: 2) { fields[flat[index]] = flat[index + 1] }
        return fields
    }

    func count(_ set: String) async throws -> Int64 {
        let command = ["wait", "active"].contains(set) ? "LLEN" : "ZCARD"
        return try await call(command, "bull:q:\(set)").integer ?? 0
    }

    func counts(_ sets: String...) async throws -> [Int64] {
        var counts: [Int64] = []
        for set in sets { counts.append(try await count(set)) }
        return counts
    }

    /// The stream's entries, fields in order, joined with blanks.
    func events() async throws -> [String] {
        let reply = try await call("XRANGE", "bull:q:events", "-", "+")
        return (reply.array ?? []).map { entry in
            (entry.array?.last?.array ?? []).dropFirst().map { $0.string ?? "" }.joined(separator: " ")
        }
    }
}

struct NotInTime: Error, CustomStringConvertible {
    let description: String
}

/// Waits until a condition holds; fails when it does not in time.
func eventually(
    _ what: String, within limit: Duration = .seconds(30), _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < end else { throw NotInTime(description: "not in time: \(what)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// A list that handlers append to.
final class Record<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])
    var all: [Element] { elements.withLock { $0 } }
    var count: Int { elements.withLock { $0.count } }

    @discardableResult
    func append(_ element: Element) -> Int {
        elements.withLock {
            $0.append(element)
            return $0.count
        }
    }
}
