import FunctionKit
import NIOCore
import RedisClient
import Synchronization
import Testing

@testable import Downloads
@testable import status
@testable import stream
@testable import subscribe

/// The three ways to follow a job, as functions with clients in memory.
@Suite(.serialized, .timeLimit(.minutes(2))) struct WatchFunctionTests {
    private func get(_ id: String, query: String = "", lastEventID: String? = nil, tag: String? = nil) throws -> Request
    {
        var request = Request.get(id)
        request.query = query
        if let lastEventID { request.headers[try #require(HTTPField.Name("Last-Event-ID"))] = lastEventID }
        request.headers[.ifNoneMatch] = tag
        return request
    }

    private func stream(
        _ request: Request, _ bench: DownloadBench, _ sink: MemoryEvents = MemoryEvents()
    ) async throws
        -> MemoryEvents
    {
        try await StreamJob().stream(request, EventStream(sink), bench.context())
        return sink
    }

    private func subscribe(
        _ request: Request, _ bench: DownloadBench, _ socket: MemorySocket = MemorySocket()
    )
        async throws -> MemorySocket
    {
        let context = bench.context()
        try await socket.serve { try await SubscribeToJob().handle(request, WebSocketUpgrade(socket), context) }
        return socket
    }

    private func waits(_ bench: DownloadBench, _ id: JobID) async throws -> Bool {
        try await bench.redis.send(["PUBSUB", "NUMSUB", JobStore.channel(id)]).array?[1].integer == 1
    }

    @Test func `stream and socket tell the same`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            let id = job.id
            let (events, socket) = (MemoryEvents(), MemorySocket())
            async let streamed = stream(get(id.description), bench, events)
            async let subscribed = subscribe(get(id.description), bench, socket)
            try await eventually { try events.seen.count == 1 && socket.seen.count == 1 }
            _ = try await DownloadWorker(bench.context()).work(bench.job(job))
            _ = try await (streamed, subscribed)
            let (byStream, bySocket) = (try events.seen, try socket.seen)
            for seen in [byStream, bySocket] {
                #expect(seen.isIncreasing)
                let names = ["status:queued", "status:processing", "status:ready", "complete:ready"]
                #expect(seen.filter { $0.type != "progress" }.names == names)
            }
            #expect(byStream.last == bySocket.last)
            #expect(events.events.withLock { $0 }.map(\.name) == byStream.map(\.type))
            #expect(events.events.withLock { $0 }.map(\.id) == byStream.map { String($0.seq) })
            #expect(socket.closeCode == .normal)
        }
    }

    @Test func `one who comes back is told what is new`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            _ = try await DownloadWorker(bench.context()).work(bench.job(job))
            let id = job.id.description
            let end = try await bench.record(job.id).seq
            let expected = ["status:ready", "complete:ready"]
            for last in ["0", "\(end - 2)", "nonsense", "-1", "", "99999999999999999"] {
                #expect(try await stream(get(id, lastEventID: last), bench).seen.names == expected)
            }
            #expect(try await stream(get(id, query: "since=\(end - 2)"), bench).seen.names == expected)
            #expect(try await stream(get(id, query: "since=\(end - 1)"), bench).seen.names == ["complete:ready"])
            // The header is the newer word.
            let both = try get(id, query: "since=1", lastEventID: "\(end)")
            for past in [both, try get(id, lastEventID: "\(end)"), try get(id, query: "since=\(end + 1)")] {
                let sink = try await stream(past, bench)
                #expect(!sink.isOpen.withLock { $0 })
            }
            #expect(try await subscribe(get(id, query: "since=\(end - 2)"), bench).seen.names == expected)
            let past = try await subscribe(get(id, query: "since=\(end)"), bench)
            #expect(past.isAccepted && past.texts.isEmpty && past.closeCode == .normal)
        }
    }

    @Test func `a stream that has nothing to tell yet is open`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            let events = MemoryEvents()
            async let streamed = stream(get(job.id.description, query: "since=\(job.seq)"), bench, events)
            try await eventually { events.isOpen.withLock { $0 } }
            #expect(try events.seen.isEmpty)
            _ = try await JobCancellation(bench.context()).cancel(job.id)
            #expect(try await streamed.seen.names == ["status:cancelled"])
        }
    }

    @Test func `what cannot be watched is refused before the answer begins`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            let requests: [(Request, HTTPResponse.Status)] = [
                (try get(JobID().description), .notFound), (try get("nonsense"), .badRequest),
                (try get(job.id.description, query: "since=x"), .badRequest),
                (try get(job.id.description, query: "since="), .badRequest),
                (try get(job.id.description, query: "since=-1"), .badRequest),
            ]
            for (request, status) in requests {
                let (events, socket) = (MemoryEvents(), MemorySocket())
                #expect(await httpError { try await stream(request, bench, events) }?.status == status)
                #expect(await httpError { try await subscribe(request, bench, socket) }?.status == status)
                #expect(!events.isOpen.withLock { $0 } && !socket.isAccepted)
            }
            bench.keyValue.fails.withLock { $0 = { _ in true } }
            bench.history.fails.withLock { $0 = ["find"] }
            let request = try get(job.id.description)
            await #expect(throws: StoreIsAway.self) { _ = try await stream(request, bench) }
            await #expect(throws: StoreIsAway.self) { _ = try await subscribe(request, bench) }
        }
    }

    @Test func `a socket answers pings and bears a little else`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            let socket = MemorySocket()
            async let subscribed = subscribe(get(job.id.description), bench, socket)
            for ping in [#"{"type":"ping"}"#, #" { "n": [1], "type" : "ping" } "#] { socket.arrive(.text(ping)) }
            let others: [WebSocketMessage] = [
                .text("ping"), .text("{}"), .text(""), .text(#"{"type":7}"#), .text("[]"),
                .binary(ByteBuffer(string: #"{"type":"ping"}"#)),
            ]
            for other in others { socket.arrive(other) }
            socket.arrive(.text(#"{"type":"ping"}"#))
            try await eventually { socket.texts.count { $0 == #"{"type":"pong"}"# } == 3 }
            #expect(socket.closeCode == nil)
            for _ in others.count...16 { socket.arrive(.text("more")) }
            _ = try await subscribed
            #expect(socket.closeCode == .policyViolation)
            #expect(try await !waits(bench, job.id))
        }
    }

    @Test func `a client that leaves takes its subscription with it`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            let socket = MemorySocket()
            async let subscribed = subscribe(get(job.id.description), bench, socket)
            try await eventually { socket.texts.count == 1 }
            #expect(try await waits(bench, job.id))
            socket.end(.goingAway)
            _ = try await subscribed
            try await eventually { try await !waits(bench, job.id) }
        }
    }

    @Test func `without its subscription a socket asks the client to come back`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            let channel = ScriptedSubscription()
            bench.keyValue.subscription.withLock { $0 = channel }
            let (events, socket) = (MemoryEvents(), MemorySocket())
            async let subscribed = subscribe(get(job.id.description), bench, socket)
            try await eventually { socket.texts.count == 1 }
            channel.cancel()
            #expect(try await subscribed.closeCode == WebSocketCloseCode(rawValue: 1013))
            // The stream ends in order.
            #expect(try await stream(get(job.id.description), bench, events).seen.names == ["status:queued"])
        }
    }

    @Test func `a slow client of a stream gets the newest`() async throws {
        try await DownloadBench.with { bench in
            var record = try await bench.accept(Array(70_000..<70_050))
            let id = record.id
            let events = MemoryEvents()
            let gate = ScriptedSubscription()
            events.beforeSend.withLock { $0 = { _ = await gate.next() } }
            async let streamed = stream(get(id.description), bench, events)
            try await eventually { try await waits(bench, id) }
            for place in 0..<50 {
                record.status = .processing
                record.files[place].state = .completed
                _ = try await bench.store.advance(
                    &record, from: JobStatus.unfinished, claim: .any, changed: [place], messages: [.progress])
            }
            record.status = .cancelled
            _ = try await bench.store.advance(
                &record, from: JobStatus.unfinished, claim: .any, messages: JobMessage.ending(.cancelled))
            events.beforeSend.withLock { $0 = {} }
            gate.cancel()
            let seen = try await streamed.seen
            #expect(seen.isIncreasing && seen.count <= 6)
            #expect(seen.last?.description == "status:cancelled")
            let files = Set(seen.flatMap(\.files))
            #expect(files == Set(70_000..<70_050) || seen.contains { $0.type == "status" && $0.status == "processing" })
        }
    }

    // MARK: Polling

    @Test func `a poll that would wait answers on change`() async throws {
        try await DownloadBench.with { bench in
            var record = try await bench.accept([70_000])
            let id = record.id
            for isConditional in [false, true] {
                let tag = isConditional ? "\"\(record.seq)\"" : nil
                let request = try get(id.description, query: "wait=30", tag: tag)
                async let answer = Status().handle(request, bench.context())
                try await eventually { try await waits(bench, id) }
                let before = record.seq
                record.status = .processing
                _ = try await bench.store.advance(
                    &record, from: JobStatus.unfinished, claim: .any, messages: isConditional ? [.status] : [.progress])
                let response = try await answer
                #expect(response.status == .ok && response.headers[.eTag] == "\"\(record.seq)\"")
                #expect(record.seq > before)
                try await eventually { try await !waits(bench, id) }
            }
        }
    }

    @Test func `a poll is answered at once when there is news, or never will be`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            let id = job.id.description
            let began = ContinuousClock.now
            let news = try await Status().handle(get(id, query: "wait=30", tag: "\"1\""), bench.context())
            #expect(news.status == .ok && news.headers[.eTag] == "\"\(job.seq)\"")
            _ = try await JobCancellation(bench.context()).cancel(job.id)
            let over = try await Status().handle(get(id, query: "wait=30"), bench.context())
            #expect(over.status == .ok)
            let same = try await Status().handle(
                get(id, query: "wait=30", tag: over.headers[.eTag]), bench.context())
            #expect(same.status == .notModified)
            #expect(ContinuousClock.now - began < .seconds(10))
        }
    }

    @Test func `a poll ends after the time it asked for`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            let id = job.id.description
            let began = ContinuousClock.now
            async let plain = Status().handle(get(id, query: "wait=1"), bench.context())
            async let conditional = Status().handle(get(id, query: "wait=1", tag: "\"\(job.seq)\""), bench.context())
            #expect(try await plain.status == .ok)
            #expect(try await conditional.status == .notModified)
            #expect(ContinuousClock.now - began >= .seconds(1))
            try await eventually { try await !waits(bench, job.id) }
        }
    }

    @Test(arguments: ["0", "31", "-1", "1.5", "x", "", "010", "99999999999999999999"])
    func `a time to wait that is none is refused`(_ wait: String) async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            let request = try get(job.id.description, query: "wait=\(wait)")
            let error = await httpError { try await Status().handle(request, bench.context()) }
            #expect(error?.code == "validation_failed" && error?.details.first?.field == "wait")
        }
    }

    @Test func `a poll that is given up leaves nothing behind`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            let request = try get(job.id.description, query: "wait=30")
            let poll = Task { try await Status().handle(request, bench.context()) }
            try await eventually { try await waits(bench, job.id) }
            poll.cancel()
            await #expect(throws: CancellationError.self) { try await poll.value }
            try await eventually { try await !waits(bench, job.id) }
        }
    }
}
