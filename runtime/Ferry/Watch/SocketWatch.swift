import FunctionKit
import NIOCore
import NIOWebSocket

/// Follows a job over one WebSocket.
struct SocketWatch {
    let upgrade: SocketUpgrade
    let id: String

    /// Follows the socket to its end.
    ///
    /// - Parameters:
    ///   - seq: The last message that was seen, 0 for none.
    ///   - take: Takes the signals.
    /// - Returns: How it ended, `nil` when the taker ended it.
    /// - Throws: What the taker throws, ``CommandFailure`` for what cannot be read, `CancellationError`.
    func follow(after seq: Int64, _ take: WatchTaker) async throws -> WatchCourse.End? {
        let path = "/v1/download/subscribe/\(id)" + (seq > 0 ? "?since=\(seq)" : "")
        let channel: SocketUpgrade.Channel
        switch try await upgrade.open(path) {
        case .end(let end): return end
        case .socket(let socket): channel = socket
        }
        var result = Result<WatchCourse.End?, any Error>.success(.lost("the connection is closed"))
        // What is thrown here comes of closing a connection that is dead already.
        try? await channel.executeThenClose { inbound, outbound in
            do {
                result = .success(try await Self.read(inbound, outbound, take))
            } catch {
                result = .failure(error)
            }
        }
        try Task.checkCancellation()
        return try result.get()
    }

    private static func read(
        _ inbound: NIOAsyncChannelInboundStream<WebSocketFrame>,
        _ outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>, _ take: WatchTaker
    ) async throws -> WatchCourse.End? {
        var frames = inbound.makeAsyncIterator()
        while true {
            let frame: WebSocketFrame?
            do {
                frame = try await frames.next()
            } catch {
                return .lost("\(error)")
            }
            guard let frame else { return .lost("the connection is closed") }
            _ = try take(.alive)
            switch frame.opcode {
            case .text:
                guard try take(.message(WatchMessage(String(buffer: frame.unmaskedData)))) else { continue }
                await send(.connectionClose, ByteBuffer(integer: UInt16(1000)), outbound)
                return nil
            case .ping: await send(.pong, frame.unmaskedData, outbound)
            case .connectionClose:
                var data = frame.unmaskedData
                // A close frame without a code says as little as 1005.
                let code = data.readInteger(as: UInt16.self) ?? 1005
                await send(.connectionClose, frame.unmaskedData, outbound)
                return code == 1000 ? .over : .closed(code: code)
            default: continue
            }
        }
    }

    /// Sends a control frame. That the connection is gone shows when it is read.
    private static func send(
        _ opcode: WebSocketOpcode, _ data: ByteBuffer, _ outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
    ) async {
        let frame = WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data)
        try? await outbound.write(frame)
    }
}
