import FunctionKit
import NIOCore
import RedisClient
import Synchronization
import Testing

@testable import Downloads

@Suite(.serialized, .timeLimit(.minutes(2))) struct JobWatchTests {
    /// Reads a watch to its end.
    private func all(_ bench: DownloadBench, _ id: JobID, after last: Int64 = 0) async throws -> [Seen] {
        var watch = try await JobWatch(id, after: last, bench.context())
        var seen: [Seen] = []
        while let messages = try await watch.next() { seen += try messages.seen }
        #expect(watch.isAtEnd)
        #expect(seen.isIncreasing)
        return seen
    }

    private func change(
        _ bench: DownloadBench, _ record: inout JobRecord, _ status: JobStatus, _ messages: [JobMessage]? = nil,
        changed: [Int] = []
    ) async throws {
        record.status = status
        record.updatedAt = .now
        let result = try await bench.store.advance(
            &record, from: Set(JobStatus.allCases), claim: .any, changed: changed,
            messages: messages ?? JobMessage.ending(status))
        guard case .done = result else {
            Issue.record("the change was refused")
            return
        }
    }

    private func listeners(_ bench: DownloadBench, _ id: JobID) async throws -> Int64? {
        try await bench.redis.send(["PUBSUB", "NUMSUB", JobStore.channel(id)]).array?[1].integer
    }

    @Test func `a watcher sees a job from its beginning to its end`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            bench.objects.add(70_001)
            let job = try await bench.accept([70_000, 70_001, 70_002])
            var watch = try await JobWatch(job.id, after: 0, bench.context())
            #expect(watch.hasMessages)
            var seen = try #require(try await watch.next()).seen
            #expect(seen.names == ["status:queued"] && seen[0].seq == job.seq)
            async let work = DownloadWorker(bench.context()).work(bench.job(job))
            while let messages = try await watch.next() { seen += try messages.seen }
            _ = try await work
            #expect(seen.isIncreasing)
            let others = seen.filter { $0.type != "progress" }
            #expect(others.names == ["status:queued", "status:processing", "status:ready", "complete:ready"])
            #expect(Set(seen.flatMap(\.files)) == [70_000, 70_001, 70_002])
            let record = try await bench.record(job.id)
            #expect(seen.last?.seq == record.seq && others[2].seq == record.seq - 2)
        }
    }

    @Test func `one who comes late is told how it ended, once`() async throws {
        try await DownloadBench.with { bench in
            for (status, expected) in [
                (.ready, ["status:ready", "complete:ready"]), (.failed, ["status:failed", "error:final"]),
                (.cancelled, ["status:cancelled"]), (.expired, ["status:expired"]),
            ] as [(JobStatus, [String])] {
                var record = try await bench.accept([70_000])
                try await change(bench, &record, status)
                for last in [0, record.seq - 3, record.seq - 2] where last < record.seq - Int64(expected.count - 1) {
                    #expect(try await all(bench, record.id, after: last).names == expected)
                }
                #expect(try await all(bench, record.id, after: record.seq - 1).names == [expected.last])
                let watch = try await JobWatch(record.id, after: record.seq, bench.context())
                #expect(watch.isAtEnd && !watch.hasMessages)
                // The record is lost, the history tells the same.
                let change = HistoryChange(status: status.rawValue, at: .now)
                _ = try await bench.history.update(record.id.description, round: 1, from: ["queued"], change: change)
                _ = try await bench.redis.send(["DEL", JobStore.key(record.id)])
                #expect(try await all(bench, record.id).names == expected)
            }
        }
    }

    @Test func `an archive whose time is over ends a watch as expired`() async throws {
        try await DownloadBench.with { bench in
            var record = try await bench.accept([70_000])
            record.expiresAt = .now
            try await change(bench, &record, .ready)
            #expect(try await all(bench, record.id).names == ["status:expired"])
            #expect(try await JobWatch(record.id, after: record.seq, bench.context()).isAtEnd)
        }
    }

    @Test(arguments: [JobStatus.cancelled, .failed])
    func `an end while watching is told and ends the watch`(_ status: JobStatus) async throws {
        try await DownloadBench.with { bench in
            var record = try await bench.accept([70_000])
            let id = record.id
            async let seen = all(bench, id)
            try await eventually { try await listeners(bench, id) == 1 }
            record.failure = JobFailure(code: "storage_error", message: "no")
            try await change(bench, &record, .processing, [.status])
            try await change(bench, &record, .queued, [.failure(isFinal: false), .status])
            try await change(bench, &record, status)
            // What comes after the end is another watch's.
            try await change(bench, &record, .expired)
            let names = try await seen.names
            let end = status == .failed ? ["status:failed", "error:final"] : ["status:cancelled"]
            // The first snapshot may have been read after the first changes.
            #expect(names.suffix(end.count) == end)
            try await eventually { try await listeners(bench, id) == 0 }
        }
    }

    @Test func `a retry is seen by one who saw the round before`() async throws {
        try await DownloadBench.with { bench in
            var record = try await bench.accept([70_000])
            try await change(bench, &record, .cancelled)
            bench.queue.move(record.id, to: .ended)
            _ = try await bench.history.update(
                record.id.description, round: 1, from: ["queued"],
                change: HistoryChange(status: "cancelled", at: .now))
            _ = try await JobRetry(bench.context()).retry(record.id)
            var watch = try await JobWatch(record.id, after: record.seq, bench.context())
            let seen = try #require(try await watch.next()).seen
            #expect(seen.names == ["status:queued"] && seen[0].seq == JobRecord.firstSeq(of: 2))
        }
    }

    @Test func `unknown jobs and absent stores are refused before anything is sent`() async throws {
        try await DownloadBench.with { bench in
            let id = JobID()
            let unknown = await httpError { try await JobWatch(id, after: 0, bench.context()).isAtEnd }
            #expect(unknown?.status == .notFound)
            try await eventually { try await listeners(bench, id) == 0 }
            bench.keyValue.fails.withLock { $0 = { _ in true } }
            let away = await httpError { try await JobWatch(id, after: 0, bench.context()).isAtEnd }
            #expect(away?.status == .notFound)
            bench.history.fails.withLock { $0 = ["find"] }
            await #expect(throws: StoreIsAway.self) { try await JobWatch(id, after: 0, bench.context()).isAtEnd }
        }
    }

    @Test func `a watch that begins while Redis is away begins with the history`() async throws {
        try await DownloadBench.with { bench in
            var record = try await bench.accept([70_000])
            let ended = try await bench.accept([70_000])
            _ = try await JobCancellation(bench.context()).cancel(ended.id)
            try await change(bench, &record, .processing, [.status])
            bench.keyValue.fails.withLock { $0 = { _ in true } }
            let patience = JobWatch.Patience(
                limit: .seconds(10), firstDelay: .milliseconds(10), longestDelay: .milliseconds(40))
            var over = try await JobWatch(ended.id, after: 0, bench.context(), patience: patience)
            #expect(try await over.next()?.seen.names == ["status:cancelled"])
            #expect(try await over.next() == nil)
            var watch = try await JobWatch(record.id, after: 0, bench.context(), patience: patience)
            #expect(try await watch.next()?.seen.names == ["status:queued"])
            bench.keyValue.fails.withLock { $0 = { _ in false } }
            #expect(try await watch.next()?.seen.names == ["status:processing"])
            try await change(bench, &record, .queued, [.status])
            #expect(try await watch.next()?.seen.names == ["status:queued"])
            // One that stays away ends the watch; its watcher comes back.
            bench.keyValue.fails.withLock { $0 = { _ in true } }
            let short = JobWatch.Patience(
                limit: .milliseconds(50), firstDelay: .milliseconds(10), longestDelay: .milliseconds(10))
            var late = try await JobWatch(record.id, after: 0, bench.context(), patience: short)
            _ = try await late.next()
            await #expect(throws: DownloadsError(.watchLost, "")) { _ = try await late.next() }
        }
    }

    @Test func `watchers of one job share a subscription, which ends with the last`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            var watches: [JobWatch] = []
            for _ in 0..<20 { watches.append(try await JobWatch(job.id, after: 0, bench.context())) }
            #expect(try await listeners(bench, job.id) == 1)
            watches.removeLast(19)
            #expect(try await listeners(bench, job.id) == 1)
            var last = watches.removeLast()
            _ = try await last.next()
            let waiting = Task { [last] in
                var last = last
                return try await last.next()
            }
            last = try await JobWatch(job.id, after: 0, bench.context())
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            #expect(try await listeners(bench, job.id) == 1)
            last = try await JobWatch(
                JobID(try await bench.accept([70_000]).id.description)!, after: 0, bench.context())
            try await eventually { try await listeners(bench, job.id) == 0 }
        }
    }

    @Test func `a slow watcher gets the newest and every file, in few messages`() async throws {
        try await DownloadBench.with { bench in
            var record = try await bench.accept(Array(70_000..<70_200))
            var watch = try await JobWatch(record.id, after: 0, bench.context())
            _ = try await watch.next()
            try await change(bench, &record, .processing, [.status])
            for place in 0..<100 {
                record.files[place].state = .completed
                try await change(bench, &record, .processing, [.progress], changed: [place])
            }
            var seen = try #require(try await watch.next()).seen
            while seen.last?.seq != record.seq { seen += try #require(try await watch.next()).seen }
            #expect(seen.names.first == "status:processing" && seen.count < 10 && seen.isIncreasing)
            #expect(Set(seen.flatMap(\.files)) == Set(70_000..<70_100))
            // Too slow: a snapshot stands for what was dropped.
            for round in 0..<3 {
                for place in 100..<200 {
                    record.files[place].state = round == 2 ? .failed : .completed
                    try await change(bench, &record, .processing, [.progress], changed: [place])
                }
            }
            seen = try #require(try await watch.next()).seen
            while seen.last?.seq != record.seq { seen += try #require(try await watch.next()).seen }
            #expect(seen.count < 10 && seen.isIncreasing)
            #expect(seen.contains { $0.type == "status" })
        }
    }

    @Test func `where messages may be missing the job is read again`() async throws {
        try await DownloadBench.with { bench in
            var record = try await bench.accept([70_000])
            let channel = ScriptedSubscription()
            bench.keyValue.subscription.withLock { $0 = channel }
            var watch = try await JobWatch(record.id, after: 0, bench.context())
            _ = try await watch.next()
            // Nothing was missed: nothing is sent.
            channel.deliver(.gap)
            try await change(bench, &record, .processing, [.status])
            let missed = record.seq
            channel.deliver(.gap)
            #expect(try await watch.next()?.seen.names == ["status:processing"])
            // What the snapshot covers is dropped, what is newer is not.
            let late = JobMessage.status.json(record, status: .queued, seq: String(missed))
            let next = JobMessage.progress.json(record, status: .processing, seq: String(missed + 1))
            channel.deliver(.message(late), .message(ByteBuffer(string: "noise")), .message(next), .message(next))
            let seen = try #require(try await watch.next()).seen
            #expect(seen.names == ["progress"] && seen[0].seq == missed + 1)
            try await change(bench, &record, .processing, [.progress])
            try await change(bench, &record, .ready)
            channel.deliver(.gap, .gap, .message(next))
            #expect(try await watch.next()?.seen.names == ["status:ready", "complete:ready"])
            #expect(try await watch.next() == nil && watch.isAtEnd)
        }
    }

    @Test func `the late end of a round does not end a watch of the next`() async throws {
        try await DownloadBench.with { bench in
            var record = try await bench.accept([70_000])
            let channel = ScriptedSubscription()
            bench.keyValue.subscription.withLock { $0 = channel }
            var watch = try await JobWatch(record.id, after: 0, bench.context())
            _ = try await watch.next()
            try await change(bench, &record, .failed)
            let end = JobMessage.failure(isFinal: true).json(record, status: .failed, seq: String(record.seq))
            let next = JobRecord(
                id: record.id, round: 2, owner: nil, options: "{}", fileIDs: [70_000], maxAttempts: 3,
                createdAt: record.createdAt, updatedAt: .now)
            #expect(try await bench.store.create(next))
            channel.deliver(.gap, .message(end))
            #expect(try await watch.next()?.seen.map(\.seq) == [next.seq])
            #expect(!watch.isAtEnd)
            // And one who claims to have seen that round's end is at its end when it comes.
            var past = try await JobWatch(record.id, after: next.seq + 9, bench.context())
            #expect(!past.hasMessages && !past.isAtEnd)
            let later = JobMessage.complete.json(next, status: .ready, seq: String(next.seq + 9))
            channel.deliver(.message(later))
            #expect(try await past.next() == nil)
        }
    }

    @Test func `a watch bears that its stores are away for a while`() async throws {
        try await DownloadBench.with { bench in
            var record = try await bench.accept([70_000])
            let channel = ScriptedSubscription()
            bench.keyValue.subscription.withLock { $0 = channel }
            let patience = JobWatch.Patience(
                limit: .seconds(3), firstDelay: .milliseconds(10), longestDelay: .milliseconds(40))
            var watch = try await JobWatch(record.id, after: 0, bench.context(), patience: patience)
            _ = try await watch.next()
            try await change(bench, &record, .processing, [.status])
            let failures = Mutex(5)
            bench.keyValue.fails.withLock {
                $0 = { _ in
                    failures.withLock { left in
                        left -= 1
                        return left >= 0
                    }
                }
            }
            channel.deliver(.gap)
            #expect(try await watch.next()?.seen.names == ["status:processing"])
            bench.keyValue.fails.withLock { $0 = { _ in true } }
            channel.deliver(.gap)
            let began = ContinuousClock.now
            await #expect(throws: StoreIsAway.self) { _ = try await watch.next() }
            #expect(ContinuousClock.now - began > .seconds(1))
            // The subscription ends with its client, as when the process stops.
            channel.cancel()
            await #expect(throws: DownloadsError(.watchLost, "")) { _ = try await watch.next() }
        }
    }

    @Test func `nothing is lost through disconnects at any moment`() async throws {
        try await DownloadBench.with { bench in
            var record = try await bench.accept([70_000, 70_001])
            let id = record.id
            let channel = try await bench.redis.subscribe(JobStore.channel(id))
            var random = SystemRandomNumberGenerator()
            async let watched = watchInPieces(bench, id)
            for turn in 0..<60 {
                switch turn % 6 {
                case 0: try await change(bench, &record, .processing, [.status])
                case 5: try await change(bench, &record, .queued, [.failure(isFinal: false), .status])
                default: try await change(bench, &record, .processing, [.progress], changed: [turn % 2])
                }
                if Bool.random(using: &random) { await Task.yield() }
            }
            try await change(bench, &record, .failed)
            var published: [Seen] = []
            while published.last?.isFinal != true {
                for case .message(let json) in await channel.next() { published.append(try Seen(String(buffer: json))) }
            }
            let seen = try await watched
            #expect(seen.isIncreasing)
            #expect(seen.suffix(2).names == ["status:failed", "error:final"])
            #expect(seen.last?.seq == published.last?.seq)
            let snapshots = seen.filter { $0.type == "status" }.map(\.seq)
            for message in published where message.type != "progress" {
                let isSeen = seen.contains { $0.seq == message.seq }
                #expect(isSeen || snapshots.contains { $0 > message.seq }, "\(message) \(message.seq)")
            }
        }
    }

    /// Watches, and leaves after a few messages each time, until the end.
    private func watchInPieces(_ bench: DownloadBench, _ id: JobID) async throws -> [Seen] {
        var seen: [Seen] = []
        while true {
            var watch = try await JobWatch(id, after: seen.last?.seq ?? 0, bench.context())
            if watch.isAtEnd { return seen }
            for _ in 0..<Int.random(in: 1...3) {
                guard let messages = try await watch.next() else { break }
                // A client may be gone after a part of what was sent, and then has had nothing of the rest.
                let part = try messages.seen.prefix(Int.random(in: 1...4))
                seen += part
                if part.count < messages.count { break }
            }
        }
    }
}
