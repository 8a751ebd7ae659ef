internal import FunctionKit
internal import NIOCore

extension ServerSentEvent {
    /// Checks what cannot be written.
    ///
    /// - Throws: `HTTPError` 500 when the name or the id holds a line break or NUL, which would make it something else.
    func check() throws(HTTPError) {
        for (field, text) in [("name", name), ("id", id)] {
            guard let text, text.utf8.contains(where: { $0 == 0 || $0 == 0x0A || $0 == 0x0D }) else { continue }
            throw HTTPError(
                .internalServerError, code: "invalid_event", message: "An event's \(field) holds a line break or NUL.")
        }
    }

    /// Writes the event (WHATWG HTML, section 9.2.5), which was checked.
    func write(into buffer: inout ByteBuffer) {
        if let id { Self.write("id: ", id, into: &buffer) }
        if let name { Self.write("event: ", name, into: &buffer) }
        if let retry { Self.writeRetry(retry, into: &buffer) }
        writeData(into: &buffer)
        buffer.writeStaticString("\n")
    }

    /// Writes how long the client is to wait before it comes back.
    static func writeRetry(_ time: Duration, into buffer: inout ByteBuffer) {
        write("retry: ", String(max(0, TimeAmount(time).nanoseconds / 1_000_000)), into: &buffer)
    }

    private static func write(_ field: StaticString, _ value: String, into buffer: inout ByteBuffer) {
        buffer.writeStaticString(field)
        buffer.writeString(value)
        buffer.writeStaticString("\n")
    }

    /// One `data` field for each line.
    private func writeData(into buffer: inout ByteBuffer) {
        data.withUnsafeReadableBytes { bytes in
            var start = 0
            while true {
                var end = start
                while end < bytes.count, bytes[end] != 0x0A, bytes[end] != 0x0D { end += 1 }
                buffer.writeStaticString("data: ")
                buffer.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
                buffer.writeStaticString("\n")
                guard end < bytes.count else { return }
                let isPair = bytes[end] == 0x0D && end + 1 < bytes.count && bytes[end + 1] == 0x0A
                start = end + (isPair ? 2 : 1)
            }
        }
    }
}
