internal import FunctionKit
public import Logging
internal import NIOPosix
internal import Synchronization

/// Keeps every invocation as a fixture in a folder: `ferry serve --record`.
///
/// It stands before the handlers (``decorate(_:)``), so that it sees what every trigger calls them with. Secrets are taken
/// out and files written on a thread of its own; what comes faster than that is left out and counted in the log.
public final class InvocationRecorder: Sendable {
    /// How much is kept.
    public struct Limits: Sendable {
        /// The most recordings.
        public var fileCount = 1000
        /// Their size together, in bytes.
        public var totalBytes = 64 << 20
        /// The largest recording, in bytes; larger ones are left out, long streams and sockets are cut.
        public var fileBytes = 256 << 10

        /// Makes limits with the defaults.
        public init() {}
    }

    /// What the request ids of calls begin with that are replays of a recording; they are not recorded.
    public static let replayPrefix = "replay-"
    /// How many recordings may wait to be written.
    private static let waitingLimit = 256

    private struct State {
        var waiting = 0
        var leftOut = 0
    }

    private let limits: Limits
    private let redaction: Redaction
    private let store: RecordingStore
    private let logger: Logger
    private let thread = NIOThreadPool(numberOfThreads: 1)
    private let state = Mutex(State())

    /// Where the recordings of a data folder lie.
    public static func folder(in dataFolder: String) -> String { "\(dataFolder)/recordings" }

    /// Makes a recorder; its thread runs until ``close()``.
    ///
    /// - Parameters:
    ///   - dataFolder: The data folder; recordings lie in its folder `recordings`, made with the first one.
    ///   - limits: How much is kept.
    ///   - redaction: Takes secrets out.
    ///   - logger: Told of what is left out.
    public init(dataFolder: String, limits: Limits = Limits(), redaction: Redaction = Redaction(), logger: Logger) {
        self.limits = limits
        self.redaction = redaction
        self.logger = logger
        store = RecordingStore(folder: Self.folder(in: dataFolder), limits: limits)
        thread.start()
    }

    /// Writes what waits, and ends the thread. Called once, when no handler runs any more.
    public func close() async {
        // The thread takes one after the other.
        try? await thread.runIfActive {}
        try? await thread.shutdownGracefully()
        let leftOut = state.withLock { $0.leftOut }
        if leftOut > 0 { logger.notice("invocations were not recorded", metadata: ["count": "\(leftOut)"]) }
    }

    /// The function with a recorder before its handler.
    public func decorate(_ function: LoadedFunction) -> LoadedFunction {
        let handler: ModuleEntry.Handler =
            switch function.handler {
            case .http(let handler):
                .http { request, context in
                    let call = Call(function, context)
                    return try await self.keeping(call, .request(request)) {
                        try await handler(request, context)
                    } outcome: {
                        .response($0)
                    }
                }
            case .stream(let handler):
                .stream { request, events, context in
                    let stream = RecordedStream(events, byteLimit: self.limits.fileBytes / 2)
                    let call = Call(function, context)
                    let failure = await Self.failure { try await handler(request, EventStream(stream), context) }
                    self.keep(call, .request(request), .events(stream.transcript, failure))
                    if let failure { throw failure }
                }
            case .webSocket(let handler):
                .webSocket { request, upgrade, context in
                    let socket = RecordedConversation(upgrade, byteLimit: self.limits.fileBytes / 2)
                    let call = Call(function, context)
                    let recorded = WebSocketUpgrade(socket, protocols: upgrade.protocols)
                    let failure = await Self.failure { try await handler(request, recorded, context) }
                    self.keep(call, .request(request), .messages(socket.transcript, failure))
                    if let failure { throw failure }
                }
            case .queue(let handler):
                .queue { job, context in
                    let call = Call(function, context)
                    return try await self.keeping(call, .job(job)) {
                        try await handler(job, context)
                    } outcome: {
                        .returned($0)
                    }
                }
            case .event(let handler):
                .event { event, context in
                    let call = Call(function, context)
                    try await self.keeping(call, .event(event)) {
                        try await handler(event, context)
                    } outcome: {
                        .returned(nil)
                    }
                }
            case .schedule(let handler):
                .schedule { tick, context in
                    let call = Call(function, context)
                    try await self.keeping(call, .tick(tick)) {
                        try await handler(tick, context)
                    } outcome: {
                        .returned(nil)
                    }
                }
            }
        return LoadedFunction(name: function.name, manifest: function.manifest, handler: handler)
    }

    /// One invocation that has begun.
    private struct Call {
        let function: LoadedFunction
        let requestID: String
        let at = Timestamp.now
        let started = ContinuousClock.now

        init(_ function: LoadedFunction, _ context: Context) {
            self.function = function
            requestID = context.requestID
        }
    }

    private func keeping<Output>(
        _ call: Call, _ input: Recording.Input, _ body: () async throws -> Output,
        outcome: (Output) -> Recording.Outcome
    ) async throws -> Output {
        do {
            let output = try await body()
            keep(call, input, outcome(output))
            return output
        } catch {
            keep(call, input, error is CancellationError && Task.isCancelled ? .cancelled : .failed(error))
            throw error
        }
    }

    private static func failure(_ body: () async throws -> Void) async -> (any Error)? {
        do {
            try await body()
            return nil
        } catch {
            return error
        }
    }

    private func keep(_ call: Call, _ input: Recording.Input, _ outcome: Recording.Outcome) {
        guard !call.requestID.hasPrefix(Self.replayPrefix) else { return }
        // What is too large is not held until it is written.
        guard input.bytes + outcome.bytes <= limits.fileBytes, takePlace() else { return leaveOut(call) }
        let recording = Recording(
            function: call.function, requestID: call.requestID, at: call.at, time: ContinuousClock.now - call.started,
            input: input, outcome: outcome)
        thread.submit { state in
            defer { self.state.withLock { $0.waiting -= 1 } }
            guard state == .active else { return }
            self.write(recording, call)
        }
    }

    private func write(_ recording: Recording, _ call: Call) {
        let digits = String(UInt32.random(in: 0 ... .max), radix: 16)
        let id = String(repeating: "0", count: 8 - digits.count) + digits
        let text = recording.json(id: id, redaction).text(isPretty: true) + "\n"
        guard text.utf8.count <= limits.fileBytes else { return leaveOut(call) }
        let time = recording.at.rfc3339.filter { $0 != "-" && $0 != ":" }
        do {
            try store.write(Array(text.utf8), name: "\(time)-\(recording.function.name)-\(id).json")
        } catch {
            leaveOut(call)
            logger.debug("a recording cannot be written", metadata: ["error": "\(error)"])
        }
    }

    private func takePlace() -> Bool {
        state.withLock { state in
            guard state.waiting < Self.waitingLimit else { return false }
            state.waiting += 1
            return true
        }
    }

    private func leaveOut(_ call: Call) {
        let count = state.withLock { state in
            state.leftOut += 1
            return state.leftOut
        }
        logger.log(
            level: count == 1 ? .notice : .debug,
            "an invocation is not recorded: it is too large, or more come than can be written",
            metadata: ["function": "\(call.function.name)", "request_id": "\(call.requestID)"])
    }
}

extension Recording.Input {
    /// About how much it holds.
    fileprivate var bytes: Int {
        switch self {
        case .request(let request): request.body.readableBytes
        case .job(let job): job.payload.utf8.count
        case .event(let event): event.data.utf8.count
        case .tick: 0
        }
    }
}

extension Recording.Outcome {
    /// About how much it holds.
    fileprivate var bytes: Int {
        switch self {
        case .response(let response): response.body.readableBytes
        case .returned(let value): value?.utf8.count ?? 0
        case .events, .messages, .failed, .cancelled: 0
        }
    }
}
