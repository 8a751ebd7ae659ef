import AsyncHTTPClient
import FunctionKit
import Glibc
import Host
import NIOCore

/// Follows a job to its end over whatever works, and shows it.
struct JobWatcher {
    private let polling: PollingWatch
    private let stream: StreamWatch
    private let socket: SocketWatch
    private let printsMessages: Bool
    private var course: WatchCourse
    private var display = ProgressDisplay()
    private var job: DownloadClient.Job?
    private var outcome: WatchOutcome?

    /// Makes a watcher.
    ///
    /// - Parameters:
    ///   - id: The job.
    ///   - upgrade: Opens sockets at the host.
    ///   - http: A client that gives up on a silent stream, and on a connection at the first failure.
    ///   - course: How it starts, and how long it bears with a silent host.
    ///   - printsMessages: Whether each message goes to standard output, instead of a bar to standard error.
    init(id: String, upgrade: SocketUpgrade, http: HTTPClient, course: WatchCourse, printsMessages: Bool) {
        let base = upgrade.address.url
        polling = PollingWatch(http: http, base: base, id: id, token: upgrade.token)
        stream = StreamWatch(http: http, base: base, id: id, token: upgrade.token)
        socket = SocketWatch(upgrade: upgrade, id: id)
        self.course = course
        self.printsMessages = printsMessages
    }

    /// Follows the job.
    ///
    /// - Returns: How it ended, and the job where it was seen whole.
    /// - Throws: ``CommandFailure`` when it cannot be followed; `CancellationError`.
    mutating func run() async throws -> (outcome: WatchOutcome, job: DownloadClient.Job?) {
        defer { display.finish() }
        var step = WatchCourse.Step.connect(course.transport, after: .zero)
        while true {
            let end: WatchCourse.End?
            switch step {
            case .connect(let transport, let pause):
                try await Task.sleep(for: pause)
                end = try await follow(transport)
            case .ask(let pause):
                try await Task.sleep(for: pause)
                // Nothing else will come, so the answer counts although its seq may be known.
                end =
                    try await polling.follow(once: true) { try take($0, always: true) }
                    ?? (outcome == nil ? .ended : nil)
            case .fail(let reason): throw CommandFailure("\(polling.base): \(reason)")
            }
            if let outcome { return (outcome, job) }
            guard let end else { continue }
            let before = course.transport
            step = course.next(after: end, at: .now, spread: .random(in: 0...1))
            if course.transport != before {
                note("\(before.rawValue) does not work here (\(end)); going on with \(course.transport.rawValue)")
            }
        }
    }

    private mutating func follow(_ transport: WatchTransport) async throws -> WatchCourse.End? {
        switch transport {
        case .websocket: try await socket.follow(after: course.seq) { try take($0) }
        case .sse: try await stream.follow(after: course.seq) { try take($0) }
        case .polling: try await polling.follow { try take($0) }
        }
    }

    /// Takes a signal; `true` when the job is over.
    private mutating func take(_ signal: WatchSignal, always: Bool = false) throws -> Bool {
        switch signal {
        case .alive: course.heard(at: .now)
        case .retry(let retry): course.noted(retry: retry)
        case .message(let message):
            guard course.accepts(seq: message.seq) || (always && message.outcome != nil) else { break }
            if printsMessages { LogOutput.announce(message.line) } else { show(message) }
            outcome = message.outcome
            if case .complete(let job) = message.content { self.job = job }
        }
        return outcome != nil
    }

    private mutating func show(_ message: WatchMessage) {
        switch message.content {
        case .status(let job), .complete(let job):
            self.job = job
            display.show(job)
        case .progress(let progress):
            guard var job else { return }
            job.progress = progress
            self.job = job
            display.show(job)
        case .failure(let reason, let isFinal):
            guard !isFinal else { return }
            note("an attempt failed and will be made again: \(Terminal.plain(reason))")
        case .unknown: return
        }
    }

    private mutating func note(_ text: String) {
        display.finish()
        LogOutput.write(text + "\n", to: STDERR_FILENO)
    }
}
