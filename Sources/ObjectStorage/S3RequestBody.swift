internal import AsyncHTTPClient
internal import NIOCore

/// A request's body: buffers of a known total, sent in pieces so that a slow connection shows its progress. It can be
/// sent again.
struct S3RequestBody: Sendable {
    /// The longest piece that is handed to the connection at once.
    private static let maximumPieceBytes = 256 << 10

    let buffers: [ByteBuffer]
    let lengthBytes: Int64

    init(_ buffers: [ByteBuffer]) {
        self.buffers = buffers
        lengthBytes = buffers.reduce(0) { $0 + Int64($1.readableBytes) }
    }

    /// The body as the HTTP client wants it.
    var streamed: HTTPClient.Body {
        let pieces = buffers.flatMap { S3RequestBody.split($0) }
        return .stream(contentLength: lengthBytes) { writer in
            // Writing nothing tells which event loop the request runs on.
            writer.write(.byteBuffer(ByteBuffer())).flatMapWithEventLoop { _, eventLoop in
                let done = eventLoop.makePromise(of: Void.self)
                S3RequestBody.send(pieces[...], with: writer, on: eventLoop, done: done)
                return done.futureResult
            }
        }
    }

    private static func send(
        _ pieces: ArraySlice<ByteBuffer>, with writer: HTTPClient.Body.StreamWriter, on eventLoop: any EventLoop,
        done: EventLoopPromise<Void>
    ) {
        guard let piece = pieces.first else { return done.succeed() }
        writer.write(.byteBuffer(piece)).whenComplete { result in
            switch result {
            // By way of the loop, so that pieces that are taken at once do not nest.
            case .success: eventLoop.execute { send(pieces.dropFirst(), with: writer, on: eventLoop, done: done) }
            case .failure(let error): done.fail(error)
            }
        }
    }

    private static func split(_ buffer: ByteBuffer) -> [ByteBuffer] {
        var rest = buffer
        var pieces: [ByteBuffer] = []
        while let piece = rest.readSlice(length: min(rest.readableBytes, maximumPieceBytes)), piece.readableBytes > 0 {
            pieces.append(piece)
        }
        return pieces
    }
}
