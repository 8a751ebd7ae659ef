internal import FunctionKit
internal import NIOCore

/// One request on its way to its answer. Belongs to its connection's loop.
final class Exchange {
    /// How far the handler is.
    enum Stage {
        /// Not called yet, or there is none.
        case none
        /// It waits for a slot of its function.
        case waiting(ConcurrencyGate.Ticket, FunctionRunner, Request)
        case running(Task<Void, Never>)
    }

    /// What will answer.
    enum Plan {
        case answer(Response)
        case failure(HTTPError)
        case call(Endpoint, parameters: [String: String])
    }

    /// Counts the connection's requests, so that a late result finds out that nobody waits for it.
    let number: UInt64
    let head: RequestHead
    let requestID: String
    let startedAt: NIODeadline
    let plan: Plan
    /// The client's address, behind trusted proxies too.
    var remoteAddress: String
    /// Whether the client came by TLS, to here or, as a trusted proxy says, to there.
    var isSecure = false
    /// Who sends it, as far as that was told at once.
    var sender = Identification.known(.local)
    /// What it has taken of budgets, and what it has open.
    var charge = RateCharge()
    var places: [OpenPlaces.Place] = []
    /// Whether ``deadline`` is the end of the sender's token.
    var endsWithToken = false
    var body = ByteBuffer()
    /// When the whole body must have come.
    var bodyDeadline = NIODeadline.distantFuture
    /// When the handler's time ends, once it has begun.
    var deadline: ContinuousClock.Instant?
    private(set) var stage = Stage.none
    /// When it was complete, and when its handler was called: kept where somebody is told.
    var calledAt: NIODeadline?
    var begunAt: NIODeadline?
    var isCold: Bool?
    /// The request for a socket, once that was checked.
    var handshake: WebSocketHandshake?
    private var isStopped = false

    init(
        number: UInt64, head: RequestHead, requestID: String, startedAt: NIODeadline, remoteAddress: String, plan: Plan
    ) {
        self.number = number
        self.head = head
        self.requestID = requestID
        self.startedAt = startedAt
        self.remoteAddress = remoteAddress
        self.plan = plan
    }

    /// Whether the answer is known before the body has come.
    var isAnswered: Bool {
        switch plan {
        case .answer, .failure: true
        case .call: false
        }
    }

    /// The request waits for a slot of its function.
    func wait(_ ticket: ConcurrencyGate.Ticket, _ runner: FunctionRunner, _ request: Request) {
        stage = .waiting(ticket, runner, request)
    }

    /// The wait for a slot has ended.
    ///
    /// - Returns: The request, or `nil` when nobody waits any more.
    func stopWaiting() -> Request? {
        guard case .waiting(_, _, let request) = stage else { return nil }
        stage = .none
        return request
    }

    /// Keeps the handler's task, which may have been given up before it was known.
    func keep(_ task: Task<Void, Never>) {
        if isStopped { task.cancel() } else { stage = .running(task) }
    }

    /// Cancels the handler, or gives its place in the queue up.
    func stop() {
        isStopped = true
        switch stage {
        case .none: break
        case .waiting(let ticket, let runner, _): runner.gate.cancel(ticket)
        case .running(let task): task.cancel()
        }
        stage = .none
    }

    var maxBodyBytes: Int {
        switch plan {
        case .answer, .failure: HTTPConnection.discardedBodyBytes
        case .call(let endpoint, _): endpoint.maxBodyBytes
        }
    }

    var functionName: String? {
        switch plan {
        case .answer, .failure: nil
        case .call(let endpoint, _): endpoint.name
        }
    }

    /// What is told of the request, unless the host itself answers it.
    func report(status: Int, _ now: NIODeadline) -> InvocationReport? {
        if case .call(let endpoint, _) = plan, case .host = endpoint.target { return nil }
        func time(_ from: NIODeadline, _ to: NIODeadline) -> Duration { .nanoseconds((to - from).nanoseconds) }
        let calledAt = calledAt ?? now
        let begunAt = begunAt ?? now
        return InvocationReport(
            function: functionName, requestID: requestID, request: "\(head.method.rawValue) \(head.path)",
            outcome: .status(status), waited: time(calledAt, begunAt), ran: time(begunAt, now), isCold: isCold)
    }
}
