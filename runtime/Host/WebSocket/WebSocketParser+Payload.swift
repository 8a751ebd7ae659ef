internal import FunctionKit
internal import NIOCore

extension WebSocketParser {
    /// How much of a frame is reserved before it has come.
    private static let reservedBytes = 65_536
    /// How much compressed payload is unmasked at a time.
    private static let pieceBytes = 8192

    mutating func beginMessage(_ kind: WebSocketMessage.Kind, isCompressed: Bool) throws(WebSocketFailure) {
        self.kind = kind
        self.isCompressed = isCompressed
        text = UTF8Validator()
        guard isCompressed, inflater == nil else { return }
        inflater = store?.takeInflater()
        guard inflater != nil else {
            throw WebSocketFailure(code: .internalError, reason: "no memory to decompress")
        }
    }

    /// Takes what has come of the payload.
    mutating func takePayload(_ missing: Int, _ buffer: inout ByteBuffer) throws(WebSocketFailure) {
        let count = min(missing, buffer.readableBytes)
        if opcode.isControl {
            control.writeUnmasked(count, of: buffer, &mask)
        } else if isCompressed {
            try inflate(count, from: buffer)
        } else {
            if payload.writableBytes < count {
                payload.reserveCapacity(minimumWritableBytes: max(count, min(missing, Self.reservedBytes)))
            }
            payload.writeUnmasked(count, of: buffer, &mask)
            try checkText(last: count)
        }
        buffer.moveReaderIndex(forwardBy: count)
        state = .payload(missing - count)
    }

    private mutating func inflate(_ count: Int, from buffer: ByteBuffer) throws(WebSocketFailure) {
        guard let inflater else { return }
        var failure: WebSocketFailure?
        buffer.withUnsafeReadableBytes { source in
            withUnsafeTemporaryAllocation(byteCount: min(count, Self.pieceBytes), alignment: 8) { piece in
                var taken = 0
                while taken < count, failure == nil {
                    let end = min(count, taken + Self.pieceBytes)
                    mask.apply(UnsafeRawBufferPointer(rebasing: source[taken..<end]), to: piece)
                    let bytes = UnsafeRawBufferPointer(rebasing: piece[..<(end - taken)])
                    let before = payload.readableBytes
                    do throws(WebSocketFailure) {
                        try inflater.inflate(bytes, into: &payload, limit: maxMessageBytes)
                        try checkText(last: payload.readableBytes - before)
                    } catch {
                        failure = error
                    }
                    taken = end
                }
            }
        }
        if let failure { throw failure }
    }

    private mutating func checkText(last count: Int) throws(WebSocketFailure) {
        guard kind == .text, count > 0 else { return }
        let isText = payload.withUnsafeReadableBytes { bytes in
            text.take(UnsafeRawBufferPointer(rebasing: bytes[(bytes.count - count)...]))
        }
        guard isText else { throw .notUTF8 }
    }

    /// Ends a frame whose payload is complete.
    mutating func endFrame() throws(WebSocketFailure) -> Event? {
        state = .head
        if opcode.isControl { return try endControl() }
        guard isFinal, let kind else { return nil }
        if isCompressed, let inflater {
            let before = payload.readableBytes
            try inflater.finish(into: &payload, limit: maxMessageBytes)
            try checkText(last: payload.readableBytes - before)
            if !keepsContext {
                store?.giveBack(inflater)
                self.inflater = nil
            }
        }
        guard kind == .binary || text.isComplete else { throw .notUTF8 }
        let message = WebSocketMessage(kind, payload)
        payload = ByteBuffer()
        self.kind = nil
        isCompressed = false
        return .message(message)
    }

    private mutating func endControl() throws(WebSocketFailure) -> Event? {
        let content = control
        control = ByteBuffer()
        switch opcode {
        case .ping: return .ping(content)
        case .close:
            let close = try WebSocketClose.parse(content)
            end()
            return .close(close)
        case .pong, .continuation, .text, .binary: return .pong
        }
    }
}
