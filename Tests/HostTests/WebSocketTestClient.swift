import FunctionKit
import NIOCore
import Testing

@testable import Host

typealias SocketHandler = @Sendable (Request, WebSocketUpgrade, Context) async throws -> Void

/// A client that sends frames as they are.
struct SocketClient: Sendable {
    /// A server's frame, which is never fragmented.
    struct Frame: Equatable, Sendable {
        var opcode: UInt8
        var payload: [UInt8]
        var isCompressed = false

        static func text(_ text: String) -> Frame { Frame(opcode: 1, payload: Array(text.utf8)) }
        static func close(_ code: UInt16, _ reason: String = "") -> Frame {
            Frame(opcode: 8, payload: [UInt8(code >> 8), UInt8(code & 255)] + Array(reason.utf8))
        }
        static func pong(_ payload: [UInt8] = []) -> Frame { Frame(opcode: 10, payload: payload) }

        /// The code of a close frame.
        var code: UInt16? {
            opcode == 8 && payload.count >= 2 ? UInt16(payload[0]) << 8 | UInt16(payload[1]) : nil
        }
    }

    let raw: RawClient

    static func request(_ path: String = "/s", _ headers: String = "") -> String {
        """
        GET \(path) HTTP/1.1\r
        host: t\r
        upgrade: websocket\r
        connection: Upgrade\r
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r
        sec-websocket-version: 13\r
        \(headers)\r

        """
    }

    func send(_ frames: ClientFrame...) async throws { try await raw.send(frames.flatMap(\.bytes)) }

    /// Waits for the end of the connection, and closes this side too.
    ///
    /// - Returns: What had come and not been read.
    @discardableResult
    func ended() async throws -> String {
        let rest = try await raw.untilClosed()
        raw.close()
        return rest
    }

    /// The next frame.
    func frame(within time: Duration = .seconds(20)) async throws -> Frame {
        try await raw.wait(time) { buffer, _ in
            var rest = buffer
            guard let first = rest.readInteger(as: UInt8.self), let second = rest.readInteger(as: UInt8.self)
            else { return nil }
            let length: Int? =
                switch second {
                case 126: rest.readInteger(as: UInt16.self).map { Int($0) }
                case 127: rest.readInteger(as: UInt64.self).map { Int($0) }
                default: Int(second)
                }
            guard let length, let payload = rest.readBytes(length: length) else { return nil }
            buffer = rest
            return Frame(opcode: first & 15, payload: payload, isCompressed: first & 0x40 != 0)
        }
    }

    /// The next frames.
    func frames(_ count: Int) async throws -> [Frame] {
        var frames: [Frame] = []
        for _ in 0..<count { frames.append(try await frame()) }
        return frames
    }
}

extension HTTPTestServer {
    static func socket(
        executor: FunctionManifest.Executor = .loop, timeout: Duration = .seconds(20), concurrency: Int = 64,
        maxMessageBytes: Int = 1 << 20, compression: FunctionManifest.Compression = .message,
        _ handler: @escaping SocketHandler
    ) -> LoadedFunction {
        LoadedFunction(
            name: "s",
            manifest: FunctionManifest(
                trigger: .webSocket(path: "/s"), timeout: timeout, concurrency: concurrency, executor: executor,
                maxMessageBytes: maxMessageBytes, compression: compression),
            handler: .webSocket(handler))
    }

    static let echo: SocketHandler = { _, upgrade, _ in
        let socket = try await upgrade.accept()
        for try await message in socket { try await socket.send(message) }
    }

    /// Opens a socket.
    func open(_ headers: String = "") async throws -> SocketClient {
        let client = SocketClient(raw: try await connect())
        try await client.raw.send(SocketClient.request("/s", headers))
        let head = try await client.raw.response()
        try #require(head.status == 101)
        return client
    }
}
