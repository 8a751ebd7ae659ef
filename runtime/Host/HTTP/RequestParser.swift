internal import FunctionKit
internal import NIOCore

/// Reads HTTP/1.x requests (RFC 9112) from bytes that may be cut anywhere.
///
/// A pure state machine: the connection hands it what has come and acts on the events. It works line by line and
/// remembers how much of an unfinished line it has looked at, so a head that comes byte by byte costs no more than one
/// that comes whole. Header fields go straight into the form in which handlers get them.
///
/// It refuses whatever two parsers might read differently, since a proxy in front may be the other one: a bare CR or LF,
/// white space before a colon, folded lines (section 5.2), more than one `Content-Length`, one beside
/// `Transfer-Encoding` (section 6.3), a coding other than `chunked`, chunk sizes that are not plain hexadecimal, more
/// than one `Host` or none in HTTP/1.1 (section 3.2). After a failure it stays failed.
struct RequestParser {
    struct Limits {
        var maxRequestLineBytes = 8192
        var maxHeadBytes = 16_384
        var maxFieldCount = 100
    }

    enum Event {
        case needsMore
        case head(RequestHead)
        /// Bytes of the body; they share memory with the input.
        case body(ByteBuffer)
        /// The request, body and trailers included, is complete. Not sent after a head without a body.
        case end
        case failed(HTTPError)
    }

    private enum State {
        case requestLine
        case fields
        case fixedBody(Int)
        case chunkSize
        case chunk(Int)
        case chunkEnd
        case trailers
        case failed

        /// Whether what comes next is a line.
        var isOfLines: Bool {
            switch self {
            case .requestLine, .fields, .chunkSize, .chunkEnd, .trailers: true
            case .fixedBody, .chunk, .failed: false
            }
        }
    }

    private let limits: Limits
    private var state = State.requestLine
    private var head = RequestHeadBuilder()
    /// Bytes of the current head, trailers or chunk line so far.
    private var lineBytes = 0
    private var chunkExtensionBytes = 0
    private var fieldCount = 0
    /// How many bytes of the unfinished line are known to hold no line feed.
    private var scanned = 0

    init(_ limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Whether no byte of a next request has been taken yet.
    var isBetweenRequests: Bool {
        if case .requestLine = state { scanned == 0 } else { false }
    }

    /// Takes bytes from the front of the buffer up to the next event.
    mutating func next(_ buffer: inout ByteBuffer) -> Event {
        if state.isOfLines, let event = readLines(&buffer) { return event }
        switch state {
        case .requestLine, .fields, .trailers, .chunkSize, .chunkEnd:
            return .needsMore
        case .fixedBody(0):
            state = .requestLine
            return .end
        case .fixedBody(let remaining):
            guard let slice = take(remaining, from: &buffer) else { return .needsMore }
            state = .fixedBody(remaining - slice.readableBytes)
            return .body(slice)
        case .chunk(let remaining):
            guard let slice = take(remaining, from: &buffer) else { return .needsMore }
            let left = remaining - slice.readableBytes
            state = left == 0 ? .chunkEnd : .chunk(left)
            return .body(slice)
        case .failed:
            return .needsMore
        }
    }

    /// Up to so many bytes, or `nil` when there are none.
    private func take(_ count: Int, from buffer: inout ByteBuffer) -> ByteBuffer? {
        let available = min(count, buffer.readableBytes)
        return available > 0 ? buffer.readSlice(length: available) : nil
    }

    /// Takes lines up to the next event, or to where something else than a line begins.
    private mutating func readLines(_ buffer: inout ByteBuffer) -> Event? {
        var consumed = 0
        var event: Event?
        buffer.withUnsafeReadableBytes { bytes in
            while event == nil, state.isOfLines {
                let line = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
                guard let end = HTTPBytes.firstLineFeed(in: line, from: scanned) else {
                    scanned = line.count
                    event = limitFailure(pending: line.count) ?? .needsMore
                    return
                }
                scanned = 0
                lineBytes += end + 1
                if let failure = limitFailure(pending: 0) {
                    event = failure
                    return
                }
                guard end > 0, line[end - 1] == UInt8(ascii: "\r") else {
                    event = .failed(.malformed("A line does not end in CRLF."))
                    return
                }
                consumed += end + 1
                event = take(line: UnsafeRawBufferPointer(rebasing: line[..<(end - 1)]))
            }
        }
        buffer.moveReaderIndex(forwardBy: consumed)
        if case .failed = event { state = .failed }
        return event
    }

    /// What to answer when the lines so far, with so many bytes of an unfinished one, are too long.
    private func limitFailure(pending: Int) -> Event? {
        let bytes = lineBytes + pending
        if case .requestLine = state {
            guard bytes > limits.maxRequestLineBytes else { return nil }
            return .failed(HTTPError(.uriTooLong, message: "The request line is too long."))
        }
        guard bytes > limits.maxHeadBytes else { return nil }
        switch state {
        case .chunkSize, .chunkEnd: return .failed(.malformed("The chunk extensions are too long."))
        default:
            return .failed(
                HTTPError(.requestHeaderFieldsTooLarge, message: "The request's header fields are too large."))
        }
    }

    private mutating func take(line: UnsafeRawBufferPointer) -> Event? {
        do throws(HTTPError) {
            switch state {
            case .requestLine:
                // An empty line before a request is left over from the one before (section 2.2).
                if line.isEmpty {
                    lineBytes = 0
                    return nil
                }
                try head.setRequestLine(line)
                state = .fields
                return nil
            case .fields:
                if line.isEmpty { return .head(try finishHead()) }
                try count()
                try head.add(line)
                return nil
            case .chunkSize:
                let (size, extensionBytes) = try ChunkSize.parse(line)
                // Only what is not a size counts: a long body in small chunks is no attack, long extensions are.
                lineBytes = 0
                chunkExtensionBytes += extensionBytes
                guard chunkExtensionBytes <= limits.maxHeadBytes else {
                    throw HTTPError.malformed("The chunk extensions are too long.")
                }
                state = size == 0 ? .trailers : .chunk(size)
                return nil
            case .chunkEnd:
                guard line.isEmpty else { throw HTTPError.malformed("A chunk is longer than its size.") }
                lineBytes = 0
                state = .chunkSize
                return nil
            case .trailers:
                if line.isEmpty {
                    reset()
                    return .end
                }
                try count()
                try RequestHeadBuilder.checkTrailer(line)
                return nil
            case .fixedBody, .chunk, .failed:
                return .needsMore
            }
        } catch {
            return .failed(error)
        }
    }

    private mutating func count() throws(HTTPError) {
        fieldCount += 1
        guard fieldCount <= limits.maxFieldCount else {
            throw HTTPError(.requestHeaderFieldsTooLarge, message: "The request has too many header fields.")
        }
    }

    private mutating func finishHead() throws(HTTPError) -> RequestHead {
        let finished = try head.finish()
        reset()
        switch finished.framing {
        case .none: break
        case .length(let length): state = .fixedBody(length)
        case .chunked: state = .chunkSize
        }
        return finished
    }

    private mutating func reset() {
        head = RequestHeadBuilder()
        state = .requestLine
        lineBytes = 0
        chunkExtensionBytes = 0
        fieldCount = 0
    }
}
