public import FunctionKit
internal import Glibc
public import Logging
internal import Synchronization

/// Holds callers to their budgets. What is used in a time is counted in Redis, in one step for all budgets of a request, so
/// it is exact over all processes; what is open at once is counted in this process.
///
/// A window begins with the first request in it and lasts for its time; a counter goes with its window. Sliding windows
/// were rejected: they keep every request's time, and what they add, that no two windows meet, no limit here needs.
public final class RateLimiter: Sendable {
    /// How long Redis may take to count.
    private static let patience = Duration.seconds(1)
    /// Scripts compute with doubles; up to here every whole number is one.
    private static let largestWindow: Int64 = 1 << 52

    private let options: LimitsOptions
    private let store: any KeyValueStore
    private let logger: Logger
    private let open = OpenPlaces()
    private let warnedAt = Mutex<ContinuousClock.Instant?>(nil)

    /// Makes a limiter.
    ///
    /// - Parameters:
    ///   - options: The budgets.
    ///   - store: Counts.
    ///   - logger: For when it cannot.
    public init(_ options: LimitsOptions, store: any KeyValueStore, logger: Logger) {
        self.options = options
        self.store = store
        self.logger = logger
    }

    private struct Share {
        let key: String
        let budget: Budget
        let window: Duration
    }

    /// Takes what a request takes at once in this process.
    ///
    /// - Returns: The places, to be kept until its end.
    /// - Throws: 429 when too much is open.
    func enter(_ names: [String], user: User?, address: String) throws(HTTPError) -> [OpenPlaces.Place] {
        var places: [OpenPlaces.Place] = []
        for name in names {
            let budget = try budget(name)
            guard budget.window == nil, let key = key(name, budget, user, address) else { continue }
            guard let place = open.enter(key, limit: budget.count) else {
                throw RateLimiter.refusal(
                    RateStatus(limit: budget.count, remaining: 0, resetSeconds: 1), "Too much is open at once")
            }
            places.append(place)
        }
        return places
    }

    /// Takes what a request takes of budgets over a time: of all, or of none.
    ///
    /// - Returns: What was taken; nothing while Redis is away and the limits are open then.
    /// - Throws: 429 when a budget is used up; 503 while Redis is away and the limits are closed then.
    /// - Cancellation: may have taken.
    func take(_ names: [String], user: User?, address: String) async throws(HTTPError) -> RateCharge {
        var shares: [Share] = []
        for name in names {
            let budget = try budget(name)
            guard let window = budget.window, let key = key(name, budget, user, address) else { continue }
            shares.append(Share(key: key, budget: budget, window: window))
        }
        guard !shares.isEmpty else { return RateCharge() }
        var arguments = shares.flatMap { ["\($0.budget.count)", "\(Int64($0.window / .milliseconds(1)))"] }
        arguments.append("\(Int64.random(in: 1...RateLimiter.largestWindow))")
        let reply: [Int64]
        do {
            reply = try await count(LimitScripts.take, shares.map(\.key), arguments)
            guard reply.count == 1 + 3 * shares.count else { throw CancellationError() }
        } catch {
            warn(error)
            guard options.onStoreFailure == .open else {
                throw ErrorResponse.unavailable("The limits cannot be counted for now; try again soon.")
            }
            return RateCharge()
        }
        let isTaken = reply[0] == 1
        var tightest: RateStatus?
        var waitMs: Int64 = 0
        for (index, share) in shares.enumerated() {
            let (used, leftMs) = (Int(reply[1 + 3 * index]), reply[2 + 3 * index])
            let remaining = max(0, share.budget.count - used - (isTaken ? 1 : 0))
            if used >= share.budget.count { waitMs = max(waitMs, leftMs) }
            let seconds = Int((leftMs + 999) / 1000)
            if remaining < tightest?.remaining ?? .max {
                tightest = RateStatus(limit: share.budget.count, remaining: remaining, resetSeconds: seconds)
            }
        }
        guard isTaken else {
            let seconds = max(1, Int((waitMs + 999) / 1000))
            let limit = tightest?.limit ?? 0
            throw RateLimiter.refusal(
                RateStatus(limit: limit, remaining: 0, resetSeconds: seconds), "The limit of \(limit) is reached")
        }
        let refunds = shares.indices.filter { shares[$0].budget.holder == .user }.map { index in
            RateCharge.Refund(key: shares[index].key, window: reply[3 + 3 * index])
        }
        return RateCharge(status: tightest, refunds: refunds)
    }

    /// Gives back what a request took that came to nothing. Best effort: what cannot be given back ends with its window.
    func giveBack(_ charge: RateCharge) async {
        guard !charge.refunds.isEmpty else { return }
        do {
            _ = try await count(
                LimitScripts.giveBack, charge.refunds.map(\.key), charge.refunds.map { "\($0.window)" })
        } catch {
            warn(error)
        }
    }

    /// - Throws: 500 for a budget that the configuration lacks, which the start refuses.
    private func budget(_ name: String) throws(HTTPError) -> Budget {
        guard let budget = options.budgets[name] else { throw ErrorResponse.internalError }
        return budget
    }

    /// The counter of a budget, or `nil` when it does not count for this caller.
    private func key(_ name: String, _ budget: Budget, _ user: User?, _ address: String) -> String? {
        switch (budget.holder, user) {
        case (.user, User.local?): nil
        case (.user, let user?): "ferry:limit:\(name):user:\(user.id)"
        case (.user, nil), (.address, _): "ferry:limit:\(name):address:\(RateLimiter.network(of: address))"
        }
    }

    /// An IPv4 address, or the network of 64 bits that one subscriber of IPv6 has to himself.
    static func network(of address: String) -> String {
        var bytes = [UInt8](repeating: 0, count: 16)
        guard address.contains(":"), inet_pton(AF_INET6, address, &bytes) == 1 else { return address }
        let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
        if isMapped { return bytes[12...].map(String.init).joined(separator: ".") }
        return stride(from: 0, to: 8, by: 2)
            .map { String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16) }.joined(separator: ":") + "::/64"
    }

    private func count(_ script: StoreScript, _ keys: [String], _ arguments: [String]) async throws -> [Int64] {
        let store = store
        return try await withThrowingTaskGroup(of: [Int64]?.self) { group in
            group.addTask {
                let reply = try await store.evaluate(script, keys: keys, arguments: arguments)
                return (reply.array ?? [reply]).compactMap(\.integer)
            }
            group.addTask {
                try await Task.sleep(for: RateLimiter.patience)
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let reply = first else { throw LimitTimeout() }
            return reply
        }
    }

    private func warn(_ error: any Error) {
        let now = ContinuousClock.now
        let isDue = warnedAt.withLock { warnedAt in
            if let last = warnedAt, now < last + .seconds(10) { return false }
            warnedAt = now
            return true
        }
        if isDue { logger.warning("limits cannot be counted", metadata: ["error": "\(error)"]) }
    }

    private static func refusal(_ status: RateStatus, _ reason: String) -> HTTPError {
        var error = HTTPError(
            .tooManyRequests, code: "rate_limited", message: "\(reason); try again in \(status.resetSeconds) s.",
            headers: [.retryAfter: "\(status.resetSeconds)"])
        status.add(to: &error.headers)
        return error
    }
}

private struct LimitTimeout: Error, CustomStringConvertible {
    var description: String { "Redis did not answer in time" }
}
