import FunctionKit
import Logging
import NIOCore

/// What uses a link; all calls come on its event loop.
protocol RedisLinkUser: AnyObject {
    /// Whether a lost connection is to be made anew although nobody asks.
    var wantsConnection: Bool { get }
    /// The connection is ready for commands.
    func linkIsReady()
    /// A reply has come.
    func linkReceived(_ reply: RESPValue)
    /// The connection, which was ready, is gone.
    func linkWasLost(_ error: RedisError)
    /// The server refuses this user or database; more attempts follow as long as a connection is wanted.
    func linkWasRefused(_ error: RedisError)
    /// What was written has left.
    func linkIsWritable()
}

/// One connection that is made anew whenever it is lost and wanted, for ever.
///
/// Connecting includes AUTH, CLIENT SETNAME and SELECT, or a PING when there is nothing to say, so that a link that is
/// ready has had an answer from Redis, and no command is spent on a peer that is none.
final class RedisLink: @unchecked Sendable {
    // @unchecked: every property that changes is touched on `eventLoop` only.

    private enum State {
        case idle
        case waiting(Scheduled<Void>)
        case connecting
        case introducing(RedisChannelHandler, timeout: Scheduled<Void>)
        case ready(RedisChannelHandler, since: NIODeadline)
        case closed
    }

    private enum Step: String {
        case auth = "AUTH"
        case name = "CLIENT SETNAME"
        case select = "SELECT"
        case ping = "PING"
    }

    let eventLoop: any EventLoop
    private let transport: RedisTransport
    private let name: String?
    private let logger: Logger
    /// Owns this link.
    weak var user: (any RedisLinkUser)?

    private var state = State.idle
    private var steps: [Step] = []
    private var delay = ReconnectDelay()
    private var notBefore = NIODeadline.uptimeNanoseconds(0)
    private(set) var lastError: RedisError?

    init(_ transport: RedisTransport, name: String?, eventLoop: any EventLoop, logger: Logger) {
        self.transport = transport
        self.name = name ?? transport.configuration.clientName
        self.eventLoop = eventLoop
        self.logger = logger
    }

    var endpoint: RedisConfiguration.Endpoint { transport.configuration.endpoint }

    var isReady: Bool {
        if case .ready = state { true } else { false }
    }

    var isWritable: Bool {
        if case .ready(let handler, _) = state { handler.isWritable } else { false }
    }

    func write(_ buffer: ByteBuffer) {
        guard case .ready(let handler, _) = state else { return }
        handler.write(buffer)
    }

    /// Looks for a reply for a moment.
    func look(_ busyPoll: inout BusyPoll) {
        if case .ready(let handler, _) = state, let socket = handler.socket { busyPoll.look(at: socket) }
    }

    /// Begins to connect unless that is under way; not before the back-off is over.
    func connectIfNeeded() {
        guard case .idle = state else { return }
        guard notBefore > .now() else { return connect() }
        state = .waiting(
            eventLoop.scheduleTask(deadline: notBefore) { [weak self] in
                guard let self, case .waiting = state else { return }
                state = .idle
                if user?.wantsConnection == true { connect() }
            })
    }

    /// Closes the present connection because it does not work; another one may follow after the back-off.
    func drop(_ error: RedisError) { end(error, isFailure: true) }

    /// Closes the present connection although it works, so that the server ends what it does there; another one may
    /// follow at once.
    func abandon(_ error: RedisError) { end(error, isFailure: false) }

    private func end(_ error: RedisError, isFailure: Bool) {
        switch state {
        case .introducing(let handler, _), .ready(let handler, _):
            _ = handler.detach()
            lost(error, isFailure: isFailure)
        case .idle, .waiting, .connecting, .closed: break
        }
    }

    /// Closes for good; the future ends when the socket is closed.
    func close() -> EventLoopFuture<Void> {
        let previous = state
        state = .closed
        switch previous {
        case .waiting(let scheduled): scheduled.cancel()
        case .introducing(let handler, let timeout):
            timeout.cancel()
            return handler.detach() ?? eventLoop.makeSucceededVoidFuture()
        case .ready(let handler, _): return handler.detach() ?? eventLoop.makeSucceededVoidFuture()
        case .idle, .connecting, .closed: break
        }
        return eventLoop.makeSucceededVoidFuture()
    }

    private func connect() {
        state = .connecting
        let maximumReplyBytes = transport.configuration.maximumReplyBytes
        transport.connect(on: eventLoop) {
            try RedisChannelHandler(link: self, maximumReplyBytes: maximumReplyBytes)
        }.whenFailure { [weak self] error in
            // Once the channel has been open, its closing is reported by the handler.
            guard let self, case .connecting = state else { return }
            lost(RedisError(.connection, "cannot connect to \(endpoint)", cause: error))
        }
    }

    private func lost(_ error: RedisError, isFailure: Bool = true) {
        lastError = error
        var wasReady = false
        switch state {
        case .introducing(_, let timeout): timeout.cancel()
        case .ready(_, let since):
            wasReady = true
            if .now() - since >= ReconnectDelay.longest { delay.reset() }
        case .idle, .waiting, .connecting, .closed: break
        }
        state = .idle
        if isFailure {
            var generator = SystemRandomNumberGenerator()
            let pause = delay.next(using: &generator)
            notBefore = .now() + pause
            logger.debug(
                "no connection to Redis",
                metadata: [
                    "endpoint": "\(endpoint)", "error": "\(error)",
                    "nextAttemptMs": "\(pause.nanoseconds / 1_000_000)",
                ])
        }
        if wasReady { user?.linkWasLost(error) }
        if user?.wantsConnection == true { connectIfNeeded() }
    }
}

// What the channel's handler reports.
extension RedisLink {
    func channelOpened(_ handler: RedisChannelHandler) {
        guard case .connecting = state, user != nil else {
            _ = handler.detach()
            return
        }
        let limit = TimeAmount(transport.configuration.connectTimeout)
        let id = ObjectIdentifier(handler)
        let timeout = eventLoop.scheduleTask(in: limit) { [weak self] in
            guard let self, case .introducing(let current, _) = state, ObjectIdentifier(current) == id else { return }
            drop(RedisError(.connection, "no answer from \(endpoint) while connecting"))
        }
        state = .introducing(handler, timeout: timeout)
        handler.write(introduction())
    }

    func channelClosed(_ handler: RedisChannelHandler, _ error: RedisError) {
        switch state {
        case .introducing(let current, _) where current === handler: lost(error)
        case .ready(let current, _) where current === handler: lost(error)
        default: break
        }
    }

    func channelIsWritable() {
        if isReady { user?.linkIsWritable() }
    }

    func received(_ reply: RESPValue) {
        switch state {
        case .ready: user?.linkReceived(reply)
        case .introducing(let handler, let timeout):
            guard !steps.isEmpty else {
                return drop(RedisError(.protocolViolation, "a reply came to no command"))
            }
            let step = steps.removeFirst()
            if let refusal = Self.refusal(of: step, reply) {
                drop(refusal)
                user?.linkWasRefused(refusal)
            } else if steps.isEmpty {
                timeout.cancel()
                state = .ready(handler, since: .now())
                lastError = nil
                logger.debug("connected to Redis", metadata: ["endpoint": "\(endpoint)"])
                user?.linkIsReady()
            }
        case .idle, .waiting, .connecting, .closed: break
        }
    }

    private func introduction() -> ByteBuffer {
        var buffer = ByteBuffer()
        var scripts = ScriptTable()
        let configuration = transport.configuration
        steps = []
        if let password = configuration.password {
            steps.append(.auth)
            let user = configuration.user.map { [$0] } ?? []
            buffer.writeRedisCommand(RedisCommand(["AUTH"] + user + [password]), scripts: &scripts)
        }
        if let name {
            steps.append(.name)
            buffer.writeRedisCommand(RedisCommand(["CLIENT", "SETNAME", name]), scripts: &scripts)
        }
        if configuration.database != 0 {
            steps.append(.select)
            buffer.writeRedisCommand(RedisCommand(["SELECT", String(configuration.database)]), scripts: &scripts)
        }
        if steps.isEmpty {
            steps.append(.ping)
            buffer.writeRedisCommand(RedisCommand(["PING"]), scripts: &scripts)
        }
        return buffer
    }

    private static func refusal(of step: Step, _ reply: RESPValue) -> RedisError? {
        switch (step, reply) {
        case (.name, .status), (.auth, .status), (.select, .status), (.ping, .status): return nil
        case (.name, .error): return nil  // A name is a convenience that the user's rights may not cover.
        case (_, .error(let text)):
            let answer = RedisError(.server, text)
            // A server that is loading or lacks rights for PING is there; each command then gets its own answer.
            let isThere: Set<Substring> = ["LOADING", "BUSY", "MASTERDOWN", "NOAUTH", "NOPERM"]
            if step == .ping, let code = answer.serverCode, isThere.contains(code) { return nil }
            return RedisError(.connection, "the server refused \(step.rawValue)", cause: answer)
        default: return RedisError(.protocolViolation, "the answer to \(step.rawValue) is not a status")
        }
    }
}
