public import NIOCore

/// Decodes an aws-chunked body piece by piece and checks its signatures, its length and its trailing checksum.
///
/// Hand it every piece of the body as it comes, take the decoded pieces out with ``next(_:)`` until that gives `nil`,
/// and call ``finish()`` at the body's end. Pieces are slices of what came in, nothing is copied. They come out before
/// what covers them is checked, so keep what was written from sight until ``finish()`` has returned.
///
/// - Source: "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks" and
///   "… Including Trailing Headers" in the Amazon S3 API reference.
public struct AWSChunkedDecoder: ~Copyable, Sendable {
    private enum State {
        case chunkHead
        case chunkData(remaining: Int64)
        case chunkEnd
        case trailers
        case ended
    }

    /// A chunk's line is a length and a signature; a trailer's a name and a checksum or a signature.
    private static let maximumLineBytes = 1024
    private static let maximumTrailerCount = 16

    private let decodedLengthBytes: Int64?
    private let expectsTrailers: Bool
    private var state = State.chunkHead
    private var line: [UInt8] = []
    private var decodedBytes: Int64 = 0
    private var trailers: [(name: String, value: String)] = []
    private var signatures: AWSChunkSignatures?
    private var checksum: AWSTrailingChecksum?

    /// Makes a decoder.
    ///
    /// - Parameters:
    ///   - payload: One of the streaming modes.
    ///   - seed: From ``SigV4Identity/chunkSeed``; needed for the modes with signed chunks.
    ///   - decodedLengthBytes: The value of `x-amz-decoded-content-length`.
    ///   - trailer: The value of `x-amz-trailer`: `x-amz-checksum-crc32`, `-sha256`, `-sha1`, or `nil`.
    /// - Throws: ``SigV4Rejection`` for a trailer that cannot be checked.
    public init(
        payload: SigV4Payload, seed: SigV4ChunkSeed?, decodedLengthBytes: Int64?, trailer: String?
    ) throws(SigV4Rejection) {
        precondition(payload.isChunked, "the body is not aws-chunked")
        precondition((seed != nil) == (payload != .streamingUnsignedTrailer), "signed chunks need a seed")
        self.decodedLengthBytes = decodedLengthBytes
        expectsTrailers = payload != .streamingSigned
        signatures = seed.map { AWSChunkSignatures(seed: $0, signsTrailer: payload == .streamingSignedTrailer) }
        checksum = nil
        if let trailer, expectsTrailers { checksum = try AWSTrailingChecksum(trailer: trailer) }
    }

    /// Whether the last chunk and the trailers have been read.
    public var isAtEnd: Bool {
        if case .ended = state { true } else { false }
    }

    /// The next decoded piece.
    ///
    /// - Parameter input: What came in; all of it has been read when `nil` is returned.
    /// - Returns: A piece of the object, or `nil` when more must come in.
    /// - Throws: ``SigV4Rejection``; the decoder cannot be used any further.
    public mutating func next(_ input: inout ByteBuffer) throws(SigV4Rejection) -> ByteBuffer? {
        while input.readableBytes > 0 {
            switch state {
            case .chunkHead:
                guard let text = try readLine(&input) else { return nil }
                try beginChunk(text)
            case .chunkData(let remaining):
                let count = Int(min(remaining, Int64(input.readableBytes)))
                guard let piece = input.readSlice(length: count) else { return nil }
                state = remaining == Int64(count) ? .chunkEnd : .chunkData(remaining: remaining - Int64(count))
                signatures?.update(piece)
                checksum?.update(piece)
                return piece
            case .chunkEnd:
                guard let text = try readLine(&input) else { return nil }
                guard text.isEmpty else { throw AWSChunkedDecoder.malformed("a chunk does not end with CRLF") }
                try endChunk()
                state = .chunkHead
            case .trailers:
                guard let text = try readLine(&input) else { return nil }
                try readTrailer(text)
            case .ended:
                throw AWSChunkedDecoder.malformed("bytes after the last chunk")
            }
        }
        return nil
    }

    /// Checks that the body was whole.
    ///
    /// - Returns: The trailers, names in lower case, the signature left out.
    /// - Throws: ``SigV4Rejection``: `IncompleteBody`, `BadDigest`, or `MalformedTrailerError`.
    @discardableResult
    public consuming func finish() throws(SigV4Rejection) -> [(name: String, value: String)] {
        guard case .ended = state, decodedLengthBytes == nil || decodedLengthBytes == decodedBytes else {
            throw .incompleteBody
        }
        try checksum?.check(trailers)
        return trailers
    }

    private mutating func beginChunk(_ text: String) throws(SigV4Rejection) {
        let halves = text.split(separator: ";", maxSplits: 1, omittingEmptySubsequences: false)
        let digits = halves[0]
        guard (1...15).contains(digits.utf8.count), digits.utf8.allSatisfy(AWSChunkedDecoder.isHexDigit),
            let length = Int64(digits, radix: 16)
        else { throw AWSChunkedDecoder.malformed("a chunk's length is no number") }
        decodedBytes += length
        if let decodedLengthBytes, decodedBytes > decodedLengthBytes { throw .incompleteBody }
        if signatures != nil {
            guard halves.count == 2, halves[1].hasPrefix("chunk-signature=") else {
                throw AWSChunkedDecoder.malformed("a chunk has no signature")
            }
            signatures?.begin(String(halves[1].dropFirst("chunk-signature=".count)))
        }
        if length > 0 {
            state = .chunkData(remaining: length)
        } else {
            // The last chunk has no data: its signature is checked at once, and trailers or an empty line follow.
            try endChunk()
            state = .trailers
        }
    }

    private mutating func endChunk() throws(SigV4Rejection) {
        guard signatures?.endChunk() ?? true else { throw .signatureMismatch }
    }

    private mutating func readTrailer(_ text: String) throws(SigV4Rejection) {
        guard !text.isEmpty else {
            guard signatures?.isTrailerVerified ?? true else { throw .signatureMismatch }
            state = .ended
            return
        }
        let pair = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard expectsTrailers, pair.count == 2, trailers.count < AWSChunkedDecoder.maximumTrailerCount else {
            throw SigV4Rejection(
                status: 400, code: "MalformedTrailerError",
                message: "The request contained trailing data that was not well-formed.")
        }
        let name = pair[0].lowercased()
        let value = String(pair[1].drop { $0 == " " })
        if name == "x-amz-trailer-signature", signatures != nil {
            guard signatures?.endTrailers(trailers, signature: value) == true else { throw .signatureMismatch }
        } else {
            trailers.append((name: name, value: value))
        }
    }

    /// A line without its end, or `nil` when more must come in. Ends with LF, with or without CR before it.
    private mutating func readLine(_ input: inout ByteBuffer) throws(SigV4Rejection) -> String? {
        let view = input.readableBytesView
        let end = view.firstIndex(of: UInt8(ascii: "\n"))
        line.append(contentsOf: view[..<(end ?? view.endIndex)])
        guard line.count <= AWSChunkedDecoder.maximumLineBytes else {
            throw AWSChunkedDecoder.malformed("a line is too long")
        }
        input.moveReaderIndex(to: end.map { $0 + 1 } ?? view.endIndex)
        guard end != nil else { return nil }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        let text = String(decoding: line, as: UTF8.self)
        line.removeAll(keepingCapacity: true)
        return text
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (97...102).contains(byte) || (65...70).contains(byte)
    }

    private static func malformed(_ message: String) -> SigV4Rejection {
        .invalidRequest("The aws-chunked body is malformed: \(message).")
    }
}
