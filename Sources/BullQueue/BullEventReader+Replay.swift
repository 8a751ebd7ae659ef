internal import FunctionKit
internal import RedisClient

extension BullEventReader {
    /// How far the clocks of workers (which date the finish of a job) and of the server (which dates the stream's
    /// entries) may differ.
    private static let skewMs: Int64 = 5000
    private static let leaseMs = "30000"

    /// Hands out the terminal events that a gap swallowed and sets the group behind it.
    ///
    /// One of the group's readers does so at a time, under a lease; the group is set only afterwards, so that another
    /// begins anew when this one dies.
    ///
    /// - Parameters:
    ///   - last: The last entry that the group got, `nil` when the group is gone.
    ///   - first: The stream's first entry, `nil` when it is to be looked up.
    /// - Throws: `RedisError`; the gap is then found again.
    func replay(after last: String?, before first: String?) async throws(RedisError) {
        let lease = "\(keys.base)events-replay:\(group)"
        let granted = try await client.send(
            RedisCommand(["SET", lease, consumer, "NX", "PX", BullEventReader.leaseMs]))
        guard granted != .null else {
            await pause(.milliseconds(200))
            return
        }
        guard try await lastDelivered() == last else {
            // Another reader had the lease in between and has closed the gap.
            _ = try await client.send(RedisCommand(["DEL", lease]))
            return
        }
        let first = if let first { first } else { try await firstEntry() }
        try await replayFinished(after: last, before: first, lease: lease)
        let start = first.flatMap(BullEventReader.predecessor) ?? "0"
        if last == nil {
            try await createGroup(at: start)
        } else {
            _ = try await client.send(RedisCommand(["XGROUP", "SETID", keys.events, group, start]))
        }
        _ = try await client.send(RedisCommand(["DEL", lease]))
    }

    /// Hands the jobs that finished between two entries to the handler, oldest first.
    func replayFinished(after last: String?, before first: String?, lease: String? = nil) async throws(RedisError) {
        let from = last.flatMap(BullEventReader.milliseconds).map { $0 - BullEventReader.skewMs }
        let until = first.flatMap(BullEventReader.milliseconds).map { $0 + BullEventReader.skewMs }
        var leased = ContinuousClock.now
        for kind in kinds where kind != .progress {
            let set = keys.finished(kind == .completed)
            var score = from.map(String.init) ?? "-inf"
            var seen: Set<String> = []
            while true {
                let reply = try await client.send(
                    RedisCommand([
                        "ZRANGEBYSCORE", set, score, until.map(String.init) ?? "+inf", "WITHSCORES", "LIMIT", "0",
                        String(200 + seen.count),
                    ]))
                let flat = reply.array ?? []
                var isNew = false
                for index in stride(from: 0, to: flat.count - 1, by: 2) {
                    guard let id = flat[index].string, let idScore = flat[index + 1].string else { continue }
                    guard idScore != score || !seen.contains(id) else { continue }
                    if idScore != score {
                        score = idScore
                        seen = []
                    }
                    seen.insert(id)
                    isNew = true
                    if let lease, ContinuousClock.now - leased > .seconds(5) {
                        leased = .now
                        _ = try await client.send(
                            RedisCommand(["SET", lease, consumer, "XX", "PX", BullEventReader.leaseMs]))
                    }
                    try await replay(kind, id, at: idScore)
                    if Task.isCancelled { throw RedisError(.cancelled, "the reader ends") }
                }
                guard isNew else { break }
            }
        }
    }

    private func replay(_ kind: QueueEvent.Kind, _ id: String, at score: String) async throws(RedisError) {
        let field = kind == .completed ? "returnvalue" : "failedReason"
        let data = try await client.send(RedisCommand(["HGET", keys.job(id), field]))
        guard let data = data.string else { return }
        let at = Int64(score).map(Timestamp.init(milliseconds:)) ?? .now
        let event = QueueEvent(kind: kind, queue: keys.queue, jobID: id, data: data, at: at)
        for attempt in 1...options.maxDeliveries {
            do {
                return try await handler(event)
            } catch {
                logger.warning(
                    "an event's handler failed in a replay",
                    metadata: [
                        "event": "\(kind)", "job": "\(id)", "error": "\(error)", "attempt": "\(attempt)",
                    ])
                await pause(.milliseconds(100 * attempt))
            }
        }
        logger.error("an event was given up", metadata: ["event": "\(kind)", "job": "\(id)"])
    }

    /// The last entry that the group got, `nil` when there is no such group.
    private func lastDelivered() async throws(RedisError) -> String? {
        let reply: RESPValue
        do {
            reply = try await client.send(RedisCommand(["XINFO", "GROUPS", keys.events]))
        } catch  where error.code == .server {
            return nil  // no stream, no group
        }
        for info in reply.array ?? [] {
            let flat = (info.array ?? []).map(\.string)
            func value(_ name: String) -> String? {
                flat.firstIndex(of: name).flatMap { $0 + 1 < flat.count ? flat[$0 + 1] : nil }
            }
            if value("name") == group { return value("last-delivered-id") }
        }
        return nil
    }

    private func firstEntry() async throws(RedisError) -> String? {
        let reply = try await client.send(RedisCommand(["XRANGE", keys.events, "-", "+", "COUNT", "1"]))
        return reply.array?.first?.array?.first?.string
    }

    /// The time in an entry's id, ms since 1970.
    static func milliseconds(_ id: String) -> Int64? {
        id.split(separator: "-").first.flatMap { Int64($0) }
    }

    /// The id just before another.
    static func predecessor(_ id: String) -> String? {
        let parts = id.split(separator: "-")
        guard parts.count == 2, let ms = UInt64(parts[0]), let sequence = UInt64(parts[1]) else { return nil }
        if sequence > 0 { return "\(ms)-\(sequence - 1)" }
        return ms > 0 ? "\(ms - 1)-\(UInt64.max)" : nil
    }
}
