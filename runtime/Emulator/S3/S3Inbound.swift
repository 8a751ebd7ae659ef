internal import NIOCore
internal import NIOHTTP1

/// The requests of a connection, one after the other, and their bodies as they are asked for.
struct S3Inbound {
    typealias Outbound = NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>

    private var iterator: NIOAsyncChannelInboundStream<HTTPServerRequestPart>.AsyncIterator
    private let outbound: Outbound
    /// Whether the client waits for a word before it sends the body.
    private var awaitsContinue = false
    /// Whether the body has been read to its end.
    private(set) var isAtEnd = true

    init(_ inbound: NIOAsyncChannelInboundStream<HTTPServerRequestPart>, _ outbound: Outbound) {
        iterator = inbound.makeAsyncIterator()
        self.outbound = outbound
    }

    /// The next request's head; `nil` when the client has closed the connection.
    mutating func nextHead() async throws -> HTTPRequestHead? {
        guard case .head(let head)? = try await iterator.next(isolation: #isolation) else { return nil }
        isAtEnd = false
        awaitsContinue =
            head.version == .http1_1 && head.headers.first(name: "expect")?.lowercased() == "100-continue"
        return head
    }

    /// The next piece of the body; `nil` at its end.
    mutating func nextPiece() async throws -> ByteBuffer? {
        if isAtEnd { return nil }
        if awaitsContinue {
            awaitsContinue = false
            try await outbound.write(.head(HTTPResponseHead(version: .http1_1, status: .continue)))
        }
        switch try await iterator.next(isolation: #isolation) {
        case .body(let piece): return piece
        case .end:
            isAtEnd = true
            return nil
        case .head, nil: throw ChannelError.eof
        }
    }

    /// Reads what is left of a body that nobody asked for, so that the connection can be used again.
    ///
    /// - Returns: Whether it can: not when the client was never told to send the body, and not when that is long.
    mutating func skipBody(limitBytes: Int) async throws -> Bool {
        if isAtEnd { return true }
        if awaitsContinue { return false }
        var skipped = 0
        while let piece = try await nextPiece() {
            skipped += piece.readableBytes
            if skipped > limitBytes { return false }
        }
        return true
    }
}
