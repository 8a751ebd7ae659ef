import FunctionKit
import Synchronization
import Testing

@testable import Host

@Suite("Limits")
struct LimitsTests {
    /// Answers as a script does whose counters stand at `used`, or not at all.
    private final class Store: KeyValueStore {
        let used: Mutex<[Int64]?>
        let keys = Mutex<[[String]]>([])

        init(used: [Int64]?) { self.used = Mutex(used) }

        func send(_ command: [String]) async throws -> RESPValue { .null }

        func evaluate(_ script: StoreScript, keys: [String], arguments: [String]) async throws -> RESPValue {
            self.keys.withLock { $0.append(keys) }
            guard let used = used.withLock({ $0 }) else { throw CancellationError() }
            let isFree = zip(used, stride(from: 0, to: arguments.count, by: 2)).allSatisfy {
                $0 < Int64(arguments[$1]) ?? 0
            }
            return .array([.integer(isFree ? 1 : 0)] + used.flatMap { [.integer($0), .integer(1500), .integer(7)] })
        }

        func listen(to channel: String) async throws -> any ChannelSubscription { throw CancellationError() }

        func check() async throws {}
    }

    private static func limiter(_ store: Store, _ failure: LimitsOptions.Failure = .open) -> RateLimiter {
        var options = LimitsOptions()
        options.onStoreFailure = failure
        return RateLimiter(options, store: store, logger: LogRecorder().logger)
    }

    @Test("the tightest budget is told, and only users' budgets get back what came to nothing")
    func take() async throws {
        let store = Store(used: [9, 20])
        let charge = try await Self.limiter(store).take(["jobs", "writes"], user: User(id: "a"), address: "192.0.2.1")
        #expect(charge.status == RateStatus(limit: 10, remaining: 0, resetSeconds: 2))
        #expect(charge.refunds == [RateCharge.Refund(key: "ferry:limit:jobs:user:a", window: 7)])
        #expect(store.keys.withLock { $0 } == [["ferry:limit:jobs:user:a", "ferry:limit:writes:address:192.0.2.1"]])
    }

    @Test("a budget that is used up is 429 with the time to wait")
    func refused() async throws {
        do {
            _ = try await Self.limiter(Store(used: [10, 20])).take(
                ["jobs", "writes"], user: User(id: "a"), address: "192.0.2.1")
            Issue.record("it was let in")
        } catch {
            #expect(error.status.code == 429 && error.headers[.retryAfter] == "2")
            #expect(error.headers[.rateLimitRemaining] == "0" && error.headers[.rateLimitLimit] == "10")
        }
    }

    @Test("the local user has no budgets of users; nobody known has those of an address")
    func holders() async throws {
        let store = Store(used: [0])
        let limiter = Self.limiter(store)
        let free = try await limiter.take(["jobs"], user: .local, address: "192.0.2.1")
        #expect(free.status == nil)
        _ = try await limiter.take(["jobs"], user: nil, address: "2001:db8:1:2:3::4")
        #expect(store.keys.withLock { $0 } == [["ferry:limit:jobs:address:2001:db8:1:2::/64"]])
        #expect(RateLimiter.network(of: "::ffff:192.0.2.1") == "192.0.2.1")
    }

    @Test("without Redis nothing is limited, or nothing is let in")
    func storeAway() async throws {
        let open = try await Self.limiter(Store(used: nil)).take(["writes"], user: nil, address: "a")
        #expect(open.status == nil)
        do {
            _ = try await Self.limiter(Store(used: nil), .closed).take(["writes"], user: nil, address: "a")
            Issue.record("it was let in")
        } catch {
            #expect(error.status.code == 503)
        }
    }

    @Test("places are free again when who has them is gone")
    func places() throws {
        let limiter = Self.limiter(Store(used: []))
        var held = try (0..<32).map { _ in try limiter.enter(["reads", "streams"], user: nil, address: "a") }
        #expect(throws: HTTPError.self) { try limiter.enter(["streams"], user: nil, address: "a") }
        #expect(try limiter.enter(["streams"], user: nil, address: "b").count == 1)
        held.removeLast()
        #expect(try limiter.enter(["streams"], user: nil, address: "a").count == 1)
    }
}
