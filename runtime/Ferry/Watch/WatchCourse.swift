/// Decides how a watcher goes on when a connection has ended: when it comes back, over what, and when it gives up.
///
/// It does nothing itself and knows no clock. One that falls back does not climb again: what a proxy refuses now it
/// refuses in a minute, and a job is not watched for ever.
struct WatchCourse {
    /// How a connection ended, or why there was none.
    enum End: Sendable, Hashable {
        /// The host knows no such job.
        case notFound
        /// All was said: 204, or a socket closed with 1000. The job's route tells how it ended.
        case over
        /// Answered otherwise than by the transport.
        case refused(status: Int, message: String?, retryAfter: Duration?)
        /// The upgrade was not answered in time.
        case upgradeHung
        /// A socket was closed in order, with this code.
        case closed(code: UInt16)
        /// A stream ended in order.
        case ended
        /// It broke, or stayed silent.
        case lost(String)
        /// No connection came about.
        case unreachable(String)
    }

    /// What to do next.
    enum Step: Sendable, Hashable {
        case connect(WatchTransport, after: Duration)
        /// Ask once how the job stands, after a pause.
        case ask(after: Duration)
        /// Give up.
        case fail(String)
    }

    static let firstDelay = Duration.milliseconds(250)
    static let maximumDelay = Duration.seconds(10)

    private(set) var transport: WatchTransport
    /// The `seq` of the last message; 0 before the first.
    private(set) var seq: Int64 = 0
    /// How long a stream's client waits before it comes back, when the host said so.
    private(set) var retry: Duration?
    private let isFixed: Bool
    private let patience: Duration
    private var lastHeard: ContinuousClock.Instant
    private var wasHeardEver = false
    private var wasHeardOnThisConnection = false
    private var failureCount = 0
    private var barrenCount = 0

    /// Starts with the transport that is wanted.
    ///
    /// - Parameters:
    ///   - transport: The only one to use, or `nil` for the best that works.
    ///   - patience: How long the host may stay away.
    ///   - now: The time.
    init(transport: WatchTransport?, patience: Duration, now: ContinuousClock.Instant) {
        self.transport = transport ?? .websocket
        isFixed = transport != nil
        self.patience = patience
        lastHeard = now
    }

    /// Notes that the host has sent something over the current connection.
    mutating func heard(at now: ContinuousClock.Instant) {
        lastHeard = now
        wasHeardEver = true
        wasHeardOnThisConnection = true
        failureCount = 0
        barrenCount = 0
    }

    /// Notes how long the host wants its clients to wait.
    mutating func noted(retry: Duration) { self.retry = min(retry, .seconds(60)) }

    /// Whether a message is newer than all before; notes it.
    mutating func accepts(seq: Int64) -> Bool {
        guard seq > self.seq else { return false }
        self.seq = seq
        return true
    }

    /// What to do after a connection's end.
    ///
    /// - Parameters:
    ///   - end: How it ended.
    ///   - now: The time.
    ///   - spread: From 0 to 1, by which a delay is spread, so that a host's clients do not come back all at once.
    /// - Returns: The next step.
    mutating func next(after end: End, at now: ContinuousClock.Instant, spread: Double) -> Step {
        let wasHeard = wasHeardOnThisConnection
        wasHeardOnThisConnection = false
        switch end {
        case .notFound: return .fail("there is no such job")
        case .unreachable(let reason) where !wasHeardEver: return .fail("no answer: \(reason). Is the host running?")
        default: break
        }
        guard now - lastHeard < patience else {
            return .fail("nothing was heard of the host for \(patience.components.seconds) s; the job may go on")
        }
        switch end {
        case .notFound, .over: return .ask(after: wasHeard ? .zero : delay(spread))
        // No transport helps against that.
        case .refused(401, let message, _):
            let said = message.map { ": \(Terminal.plain($0))" } ?? "."
            return .fail("answered 401\(said) \(DownloadClient.tokenHint)")
        case .refused(let status, let message, let retryAfter):
            if let step = fallBack() { return step }
            guard status >= 500 || [408, 425, 429].contains(status) else {
                return .fail(
                    "answered \(status): \(message.map { Terminal.plain($0) } ?? "that is no answer of Ferry; is the URL right?")"
                )
            }
            return .connect(transport, after: max(delay(spread), min(retryAfter ?? .zero, .seconds(60))))
        case .upgradeHung:
            return fallBack() ?? .connect(transport, after: delay(spread))
        case .closed(code: 1001), .closed(code: 1012):
            return .connect(transport, after: wasHeard ? .zero : delay(spread))
        case .ended:
            return .connect(transport, after: max(retry ?? .zero, wasHeard ? .zero : delay(spread)))
        case .closed, .lost:
            if !wasHeard {
                barrenCount += 1
                if barrenCount >= 2, let step = fallBack() { return step }
            }
            let pause = delay(spread)
            return .connect(transport, after: transport == .sse ? max(retry ?? .zero, pause) : pause)
        case .unreachable: return .connect(transport, after: delay(spread))
        }
    }

    private mutating func fallBack() -> Step? {
        guard !isFixed, let fallback = transport.fallback else { return nil }
        transport = fallback
        failureCount = 0
        barrenCount = 0
        return .connect(fallback, after: .zero)
    }

    /// Grows from ``firstDelay`` to ``maximumDelay``, less up to a half.
    private mutating func delay(_ spread: Double) -> Duration {
        let full = min(Self.firstDelay * (1 << min(failureCount, 10)), Self.maximumDelay)
        failureCount += 1
        return full * (1 - spread / 2)
    }
}
