import FunctionKit
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import Testing

@testable import Host

/// Collects what is logged.
final class LogRecorder: Sendable {
    struct Line: Sendable {
        let level: Logger.Level
        let message: String
        let metadata: [String: String]
    }

    private let recorded = Mutex<[Line]>([])

    var lines: [Line] { recorded.withLock { $0 } }

    func lines(_ message: String) -> [Line] { lines.filter { $0.message == message } }

    var logger: Logger {
        Logger(label: "test") { _ in Handler(recorder: self) }
    }

    private struct Handler: LogHandler {
        let recorder: LogRecorder
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        init(recorder: LogRecorder) { self.recorder = recorder }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let all = metadata.merging(event.metadata ?? [:]) { $1 }
            let line = Line(
                level: event.level, message: "\(event.message)", metadata: all.mapValues { "\($0)" })
            recorder.recorded.withLock { $0.append(line) }
        }
    }
}

/// Waits until a condition holds.
func eventually(
    within time: Duration = .seconds(10), _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async -> Bool
) async {
    let limit = ContinuousClock.now + time
    while ContinuousClock.now < limit {
        if await condition() { return }
        try? await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("Not within \(time): \(what)", sourceLocation: sourceLocation)
}

typealias HTTPHandler = @Sendable (Request, Context) async throws -> Response

/// A server on a port of its own, for one test.
struct HTTPTestServer: Sendable {
    let port: Int
    let runners: [String: FunctionRunner]
    let pool: HandlerPool
    let log: LogRecorder
    private let group: ServiceGroup

    /// Begins the graceful shutdown.
    func shutDown() async { await group.triggerGracefulShutdown() }

    func connect(host: String = "127.0.0.1") async throws -> RawClient {
        try await RawClient.connect(host: host, port: port)
    }

    /// Sends one request on a connection of its own.
    func get(_ path: String, _ headers: String = "") async throws -> RawResponse {
        let client = try await connect()
        try await client.send("GET \(path) HTTP/1.1\r\nHost: t\r\n\(headers)\r\n")
        let response = try await client.response()
        client.close()
        return response
    }

    static func function(
        _ name: String, _ method: String = "GET", _ path: String, executor: FunctionManifest.Executor = .loop,
        timeout: Duration = .seconds(20), concurrency: Int = 64, queueLimit: Int = 64, maxBodyBytes: Int = 1 << 20,
        _ handler: @escaping HTTPHandler
    ) -> LoadedFunction {
        LoadedFunction(
            name: name,
            manifest: FunctionManifest(
                trigger: .http(method: method, path: path), timeout: timeout, concurrency: concurrency,
                queueLimit: queueLimit, executor: executor, maxBodyBytes: maxBodyBytes),
            handler: .http(handler))
    }

    /// A function of another kind than HTTP.
    static func function(
        _ name: String, _ trigger: FunctionManifest.Trigger, executor: FunctionManifest.Executor = .loop,
        timeout: Duration = .seconds(20), concurrency: Int = 64, queueLimit: Int = 0, _ handler: ModuleEntry.Handler
    ) -> LoadedFunction {
        LoadedFunction(
            name: name,
            manifest: FunctionManifest(
                trigger: trigger, timeout: timeout, concurrency: concurrency, queueLimit: queueLimit,
                executor: executor),
            handler: handler)
    }

    static func with(
        _ functions: [LoadedFunction] = [], pool poolOptions: HandlerPool.Options = HandlerPool.Options(),
        checks: [HealthMonitor.Check] = [], bindings: Bindings = Bindings(),
        _ change: (inout HTTPServerOptions) -> Void = { _ in },
        _ body: (HTTPTestServer) async throws -> Void
    ) async throws {
        var options = HTTPServerOptions()
        options.addresses = [.tcp(host: "127.0.0.1", port: 0)]
        options.drainTimeout = .seconds(5)
        change(&options)
        let log = LogRecorder()
        let pool = HandlerPool(poolOptions, logger: log.logger)
        let loops = LoopExecutors(MultiThreadedEventLoopGroup.singleton)
        let services = InvocationServices(logger: log.logger, bindings: bindings, pool: pool, loops: loops)
        let runners = functions.map { FunctionRunner($0, services: services) }
        let listening = OneShot<[ListenAddress]>()
        let server = try HTTPServer(
            options: options, functions: runners, health: HealthMonitor(checks, deadline: .milliseconds(200)),
            pool: pool, loops: loops, logger: log.logger, onListening: { listening.set($0) })
        let group = ServiceGroup(services: [server], logger: Logger(label: "group") { _ in SwiftLogNoOpLogHandler() })
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                do {
                    try await group.run()
                } catch {
                    listening.set([])
                    throw error
                }
            }
            let addresses = await listening.value()
            let port = if case .tcp(_, let port) = addresses.first { port } else { 0 }
            let fixture = HTTPTestServer(
                port: port, runners: Dictionary(uniqueKeysWithValues: runners.map { ($0.function.name, $0) }),
                pool: pool, log: log, group: group)
            do {
                try await body(fixture)
            } catch {
                await group.triggerGracefulShutdown()
                throw error
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
        pool.shutDown()
    }
}

/// An answer as it came over the wire.
struct RawResponse: Sendable {
    var status: Int
    var headers: [(name: String, value: String)]
    var body: String

    subscript(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// A client that sends bytes as they are.
final class RawClient: Sendable {
    struct Closed: Error {}
    struct Late: Error {}

    private struct State {
        var buffer = ByteBuffer()
        var isClosed = false
        var waiter: OneShot<Bool>?
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let client: RawClient

        init(_ client: RawClient) { self.client = client }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            client.update { $0.buffer.writeBuffer(&bytes) }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case ChannelEvent.inputClosed = event { client.update { $0.isClosed = true } }
        }

        func channelInactive(context: ChannelHandlerContext) { client.update { $0.isClosed = true } }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    private let state = Mutex(State())
    private let connection = Mutex<(any Channel)?>(nil)

    private var channel: any Channel {
        get throws {
            guard let channel = connection.withLock({ $0 }) else { throw Closed() }
            return channel
        }
    }

    static func connect(host: String = "127.0.0.1", port: Int) async throws -> RawClient {
        try await connect { try await $0.connect(host: host, port: port).get() }
    }

    static func connect(unix path: String) async throws -> RawClient {
        try await connect { try await $0.connect(unixDomainSocketPath: path).get() }
    }

    private static func connect(_ open: (ClientBootstrap) async throws -> any Channel) async throws -> RawClient {
        let client = RawClient()
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(client))
                }
            }
        let channel = try await open(bootstrap)
        client.connection.withLock { $0 = channel }
        return client
    }

    private func update(_ body: (inout State) -> Void) {
        let waiter = state.withLock { state in
            body(&state)
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.set(true)
    }

    func send(_ text: String) async throws {
        try await (try channel).writeAndFlush(ByteBuffer(string: text))
    }

    func send(_ bytes: [UInt8]) async throws { try await send(ByteBuffer(bytes: bytes)) }

    func send(_ bytes: ByteBuffer) async throws {
        try await (try channel).writeAndFlush(bytes)
    }

    /// Makes the kernel keep little of what is not read.
    func setSmallReceiveBuffer() async throws {
        try await (try channel).setOption(.socketOption(.so_rcvbuf), value: 16_384).get()
    }

    func close() { connection.withLock { $0 }?.close(promise: nil) }

    func closeOutput() async throws { try await (try channel).close(mode: .output) }

    /// Stops or resumes reading.
    func setReading(_ isReading: Bool) async throws {
        try await (try channel).setOption(.autoRead, value: isReading).get()
    }

    /// Waits until `take` finds what it looks for.
    func wait<Value: Sendable>(
        _ time: Duration = .seconds(20), _ take: (inout ByteBuffer, Bool) throws -> Value?
    ) async throws -> Value {
        let limit = ContinuousClock.now + time
        while true {
            let waiter = OneShot<Bool>()
            let found = try state.withLock { state throws -> Value? in
                if let value = try take(&state.buffer, state.isClosed) { return value }
                if state.isClosed { throw Closed() }
                state.waiter = waiter
                return nil
            }
            if let found { return found }
            let timer = try channel.eventLoop.scheduleTask(in: TimeAmount(limit - .now)) { waiter.set(false) }
            let isSet = await waiter.value()
            timer.cancel()
            if !isSet { throw Late() }
        }
    }

    /// The next answer; one to a HEAD request has no body.
    func response(toHead: Bool = false, within time: Duration = .seconds(20)) async throws -> RawResponse {
        try await wait(time) { buffer, _ in
            guard let headBytes = Self.headBytes(buffer),
                let text = buffer.getString(at: buffer.readerIndex, length: headBytes)
            else { return nil }
            let lines = text.split(separator: "\r\n")
            let headers = lines.dropFirst().map { line -> (name: String, value: String) in
                let parts = line.split(separator: ":", maxSplits: 1)
                return (String(parts[0]), parts.count > 1 ? String(parts[1].drop { $0 == " " }) : "")
            }
            let status = try #require(Int(lines[0].split(separator: " ")[1]))
            var response = RawResponse(status: status, headers: headers, body: "")
            let length =
                toHead || status == 304 || status < 200 ? 0 : try #require(Int(response["content-length"] ?? "0"))
            guard buffer.readableBytes >= headBytes + length else { return nil }
            buffer.moveReaderIndex(forwardBy: headBytes)
            response.body = buffer.readString(length: length) ?? ""
            return response
        }
    }

    /// The next chunk's payload, empty at the end of the message.
    func chunk(within time: Duration = .seconds(20)) async throws -> String {
        try await wait(time) { buffer, _ in
            let bytes = buffer.readableBytesView
            guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
            let line = String(decoding: bytes[..<end].dropLast(), as: UTF8.self)
            let size = try #require(Int(line, radix: 16), "\(line)")
            let lineBytes = end + 1 - bytes.startIndex
            guard bytes.count >= lineBytes + size + 2 else { return nil }
            buffer.moveReaderIndex(forwardBy: lineBytes)
            let payload = buffer.readString(length: size) ?? ""
            #expect(buffer.readString(length: 2) == "\r\n")
            return payload
        }
    }

    /// How many bytes have come and not been taken.
    var waitingBytes: Int { state.withLock { $0.buffer.readableBytes } }

    /// Where the first head ends.
    private static func headBytes(_ buffer: ByteBuffer) -> Int? {
        let bytes = buffer.readableBytesView
        var index = bytes.startIndex
        while let end = bytes[index...].firstIndex(of: UInt8(ascii: "\n")) {
            if bytes[..<end].suffix(3).elementsEqual("\r\n\r".utf8) { return end + 1 - bytes.startIndex }
            index = end + 1
        }
        return nil
    }

    /// What this side has not been able to send yet.
    func unsentBytes() async throws -> Int {
        try await (try channel).getOption(.bufferedWritableBytes).get()
    }

    /// Waits for the end of the connection.
    ///
    /// - Returns: What had come and not been read.
    @discardableResult
    func untilClosed(within time: Duration = .seconds(20)) async throws -> String {
        try await wait(time) { buffer, isClosed in
            isClosed ? buffer.readString(length: buffer.readableBytes) : nil
        }
    }
}
