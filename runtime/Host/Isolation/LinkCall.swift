internal import FunctionKit
internal import NIOCore

/// What begins a call, as it crosses a link: the invocation, and what calls it.
///
/// Deadlines cross as the time that is left, since the two ends need not agree on any clock's zero.
struct LinkCall {
    /// What calls the function.
    enum Input {
        case request(Request, protocols: [String])
        case job(QueueJob<String>)
        case event(QueueEvent)
        case tick(ScheduledTick)
    }

    var requestID: String
    var attempt: Int
    var remaining: Duration
    var traceParent: String?
    /// Who calls.
    var user: User?
    var input: Input

    static func write(_ input: Input, _ context: Context, stream: UInt32, into buffer: inout ByteBuffer) {
        let kind: LinkFrame.Kind =
            switch input {
            case .request: .request
            case .job: .job
            case .event: .event
            case .tick: .tick
            }
        buffer.writeFrame(kind, stream) { buffer in
            buffer.writeText(context.requestID)
            buffer.writeInteger(UInt32(clamping: context.attempt))
            buffer.writeDuration(context.remaining)
            buffer.writeOptionalText(context.traceParent)
            write(context.user, into: &buffer)
            switch input {
            case .request(let request, let protocols): write(request, protocols, into: &buffer)
            case .job(let job):
                for text in [job.id, job.name, job.queue, job.payload] { buffer.writeText(text) }
                buffer.writeInteger(UInt32(clamping: job.attempt))
                buffer.writeInteger(UInt32(clamping: job.maxAttempts))
                buffer.writeInteger(job.addedAt.milliseconds)
            case .event(let event):
                for text in [event.kind.rawValue, event.queue, event.jobID, event.data] { buffer.writeText(text) }
                buffer.writeInteger(event.at.milliseconds)
            case .tick(let tick):
                buffer.writeInteger(tick.at.milliseconds)
                buffer.writeInteger(UInt32(clamping: tick.attempt))
                buffer.writeInteger(UInt32(clamping: tick.maxAttempts))
            }
        }
    }

    private static func write(_ user: User?, into buffer: inout ByteBuffer) {
        buffer.writeOptionalText(user?.id)
        guard let user else { return }
        buffer.writeInteger(UInt8(user.isAdmin ? 1 : 0))
        buffer.writeInteger(UInt8(user.expiresAt == nil ? 0 : 1))
        if let end = user.expiresAt { buffer.writeInteger(end.milliseconds) }
    }

    private static func readUser(_ payload: inout ByteBuffer) throws(LinkViolation) -> User? {
        guard let id = try payload.readOptionalText() else { return nil }
        let isAdmin = try payload.readNumber(UInt8.self) != 0
        let hasEnd = try payload.readNumber(UInt8.self) != 0
        return User(
            id: id, isAdmin: isAdmin, expiresAt: hasEnd ? Timestamp(milliseconds: try payload.readNumber()) : nil)
    }

    private static func write(_ request: Request, _ protocols: [String], into buffer: inout ByteBuffer) {
        for text in [request.method.rawValue, request.path, request.query, request.id, request.remoteAddress] {
            buffer.writeText(text)
        }
        buffer.writeFields(request.headers)
        buffer.writeInteger(UInt32(clamping: request.parameters.count))
        for (name, value) in request.parameters {
            buffer.writeText(name)
            buffer.writeText(value)
        }
        buffer.writeInteger(UInt32(clamping: protocols.count))
        for name in protocols { buffer.writeText(name) }
        buffer.writeBytes(of: request.body)
    }

    /// Reads the frame that begins a call.
    init(_ frame: LinkFrame) throws(LinkViolation) {
        var payload = frame.payload
        requestID = try payload.readText()
        attempt = Int(try payload.readNumber(UInt32.self))
        remaining = try payload.readDuration()
        traceParent = try payload.readOptionalText()
        user = try LinkCall.readUser(&payload)
        switch frame.kind {
        case .request: input = try LinkCall.readRequest(&payload, from: user)
        case .job:
            input = .job(
                QueueJob(
                    id: try payload.readText(), name: try payload.readText(), queue: try payload.readText(),
                    payload: try payload.readText(), attempt: Int(try payload.readNumber(UInt32.self)),
                    maxAttempts: Int(try payload.readNumber(UInt32.self)),
                    addedAt: Timestamp(milliseconds: try payload.readNumber())))
        case .event:
            guard let kind = QueueEvent.Kind(rawValue: try payload.readText()) else {
                throw LinkViolation("an event of an unknown kind")
            }
            input = .event(
                QueueEvent(
                    kind: kind, queue: try payload.readText(), jobID: try payload.readText(),
                    data: try payload.readText(), at: Timestamp(milliseconds: try payload.readNumber())))
        case .tick:
            input = .tick(
                ScheduledTick(
                    at: Timestamp(milliseconds: try payload.readNumber()),
                    attempt: Int(try payload.readNumber(UInt32.self)),
                    maxAttempts: Int(try payload.readNumber(UInt32.self))))
        default: throw LinkViolation("a frame that begins no call")
        }
        try payload.readToEnd()
    }

    private static func readRequest(_ payload: inout ByteBuffer, from user: User?) throws(LinkViolation) -> Input {
        guard let method = HTTPRequest.Method(rawValue: try payload.readText()) else {
            throw LinkViolation("a request without a method")
        }
        var request = Request(method: method, path: try payload.readText(), query: try payload.readText())
        request.id = try payload.readText()
        request.remoteAddress = try payload.readText()
        request.user = user
        request.headers = try payload.readFields()
        for _ in 0..<(try payload.readCount(ofAtLeast: 8)) {
            let name = try payload.readText()
            request.parameters[name] = try payload.readText()
        }
        var protocols: [String] = []
        for _ in 0..<(try payload.readCount(ofAtLeast: 4)) { protocols.append(try payload.readText()) }
        request.body = try payload.readBytes()
        return .request(request, protocols: protocols)
    }
}
