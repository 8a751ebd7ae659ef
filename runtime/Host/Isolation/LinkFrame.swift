internal import NIOCore

/// One message on the link between the supervisor and a function's process.
///
/// On the wire: the number of bytes that follow (4), the kind (1), the call's number (4, 0 for the link itself), the
/// payload; all numbers are big-endian. A frame holds a whole request or answer: frames of one link are not interleaved,
/// so cutting one up would only cost, and memory grows with what has come, never with what a length announces.
struct LinkFrame: Equatable {
    enum Kind: UInt8, CaseIterable {
        // To the process.
        /// Begins a call by a request.
        case request = 1
        /// Begins a call by a job, an event or a tick.
        case job
        case event
        case tick
        /// Nobody waits for the call any more.
        case cancel
        /// So many bytes of events or messages were taken.
        case credit
        /// The upgrade is granted, or refused with an error.
        case accepted
        case refused
        /// The message that was wanted, or the end of the socket in its place.
        case message
        case socketClosed
        case ping

        // From the process.
        /// The module is loaded.
        case ready = 64
        /// The process ends: it takes no more calls.
        case draining
        /// It works on a queue's jobs, or does not any more.
        case busy
        /// A handler keeps a thread past its deadline.
        case lost
        case pong
        /// The call has ended, with its value or an error.
        case end
        /// The call was not begun.
        case turnedBack
        /// Events for the client; none opens the stream.
        case events
        /// The handler wants the socket.
        case accept
        /// Messages for the client.
        case messages
        /// The handler closes the socket.
        case close
        /// The handler wants the client's next message.
        case want
        /// A job's progress.
        case progress
    }

    /// What precedes the payload.
    static let headBytes = 9
    /// How many bytes of events or messages of a call may be on their way to the supervisor before the handler waits.
    static let windowBytes = 16_384
    /// The largest answer, in bytes with its head.
    static let maxAnswerBytes = 1 << 30
    /// What a request may have besides its body: heads are bounded by `http.maxHeaderBytes`, 1 MiB at most.
    static let maxHeadBytes = 4 << 20

    let kind: Kind
    let stream: UInt32
    var payload: ByteBuffer
}

extension ByteBuffer {
    /// Writes a frame whose payload `body` writes.
    ///
    /// - Returns: The payload's size in bytes.
    @discardableResult
    mutating func writeFrame(
        _ kind: LinkFrame.Kind, _ stream: UInt32 = 0, _ body: (inout ByteBuffer) -> Void = { _ in }
    ) -> Int {
        let start = writerIndex
        writeInteger(UInt32(0))
        writeInteger(kind.rawValue)
        writeInteger(stream)
        body(&self)
        let length = writerIndex - start - 4
        setInteger(UInt32(clamping: length), at: start)
        return length - (LinkFrame.headBytes - 4)
    }
}
