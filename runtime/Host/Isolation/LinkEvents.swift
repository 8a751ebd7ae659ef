internal import FunctionKit
internal import NIOCore

/// Events and messages across a link.
enum LinkEvents {
    static func write(_ events: [ServerSentEvent], into buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt32(clamping: events.count))
        for event in events {
            buffer.writeOptionalText(event.name)
            buffer.writeOptionalText(event.id)
            buffer.writeInteger(UInt8(event.retry == nil ? 0 : 1))
            if let retry = event.retry { buffer.writeDuration(retry) }
            buffer.writeBytes(of: event.data)
        }
    }

    static func readEvents(_ payload: ByteBuffer) throws(LinkViolation) -> [ServerSentEvent] {
        var payload = payload
        let count = try payload.readCount(ofAtLeast: 7)
        var events: [ServerSentEvent] = []
        events.reserveCapacity(count)
        for _ in 0..<count {
            let name = try payload.readOptionalText()
            let id = try payload.readOptionalText()
            let retry = try payload.readNumber(UInt8.self) == 0 ? nil : try payload.readDuration()
            let event = ServerSentEvent(data: try payload.readBytes(), name: name, id: id, retry: retry)
            do { try event.check() } catch { throw LinkViolation("an event with a line break in its head") }
            events.append(event)
        }
        try payload.readToEnd()
        return events
    }

    static func write(_ messages: [WebSocketMessage], into buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt32(clamping: messages.count))
        for message in messages {
            buffer.writeInteger(UInt8(message.kind == .text ? 1 : 2))
            buffer.writeBytes(of: message.payload)
        }
    }

    static func readMessages(_ payload: ByteBuffer) throws(LinkViolation) -> [WebSocketMessage] {
        var payload = payload
        let count = try payload.readCount(ofAtLeast: 5)
        var messages: [WebSocketMessage] = []
        messages.reserveCapacity(count)
        for _ in 0..<count {
            let kind: WebSocketMessage.Kind
            switch try payload.readNumber(UInt8.self) {
            case 1: kind = .text
            case 2: kind = .binary
            default: throw LinkViolation("a message of an unknown kind")
            }
            messages.append(WebSocketMessage(kind, try payload.readBytes()))
        }
        try payload.readToEnd()
        return messages
    }
}
