import NIOCore

/// Reads server-sent events from bytes as they come (WHATWG HTML, section 9.2.6).
///
/// Lines end in LF, CR or CR LF, also where a chunk ends between the two. An event goes out at its empty line; what is
/// behind the last one when the stream ends is dropped, as the standard has it.
struct EventStreamParser {
    struct Event: Hashable {
        var name = "message"
        var data = ""
        /// The last id that was given up to this event; empty before the first.
        var id = ""
    }

    /// The bytes that an unfinished line and an unfinished event may have together.
    static let limitBytes = 8 << 20

    /// What the last `retry` field asked for.
    private(set) var retry: Duration?
    private var line = ByteBuffer()
    private var data = ByteBuffer()
    private var hasData = false
    private var name = ""
    private var id = ""
    private var isAfterCarriageReturn = false
    private var isFirstLine = true

    /// Takes the bytes that have come.
    ///
    /// - Returns: The events that are complete now.
    /// - Throws: ``CommandFailure`` when an event is larger than ``limitBytes``.
    mutating func take(_ bytes: ByteBuffer) throws -> [Event] {
        var events: [Event] = []
        var rest = bytes.readableBytesView
        while let first = rest.first {
            if isAfterCarriageReturn {
                isAfterCarriageReturn = false
                if first == UInt8(ascii: "\n") {
                    rest = rest.dropFirst()
                    continue
                }
            }
            guard let end = rest.firstIndex(where: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) else {
                line.writeBytes(rest)
                break
            }
            line.writeBytes(rest[..<end])
            isAfterCarriageReturn = rest[end] == UInt8(ascii: "\r")
            rest = rest[rest.index(after: end)...]
            if let event = endLine() { events.append(event) }
        }
        guard line.readableBytes + data.readableBytes <= Self.limitBytes else {
            throw CommandFailure("the host sent an event of more than \(Self.limitBytes >> 20) MiB")
        }
        return events
    }

    private mutating func endLine() -> Event? {
        defer { line.clear() }
        var text = line.readableBytesView[...]
        if isFirstLine, text.starts(with: [0xEF, 0xBB, 0xBF]) { text = text.dropFirst(3) }
        isFirstLine = false
        guard !text.isEmpty else { return endEvent() }
        let colon = text.firstIndex(of: UInt8(ascii: ":")) ?? text.endIndex
        var value = text[colon...].dropFirst()
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        // A line that begins with a colon is a comment: its name is empty.
        switch String(decoding: text[..<colon], as: UTF8.self) {
        case "event": name = String(decoding: value, as: UTF8.self)
        case "data":
            if hasData { data.writeInteger(UInt8(ascii: "\n")) }
            data.writeBytes(value)
            hasData = true
        case "id" where !value.contains(0): id = String(decoding: value, as: UTF8.self)
        case "retry":
            let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
            guard !value.isEmpty, value.count < 10, value.allSatisfy(digits.contains),
                let milliseconds = Int(String(decoding: value, as: UTF8.self))
            else { break }
            retry = .milliseconds(milliseconds)
        default: break
        }
        return nil
    }

    private mutating func endEvent() -> Event? {
        defer {
            data.clear()
            hasData = false
            name = ""
        }
        guard hasData else { return nil }
        return Event(name: name.isEmpty ? "message" : name, data: String(buffer: data), id: id)
    }
}
