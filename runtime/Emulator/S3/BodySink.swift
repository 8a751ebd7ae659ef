internal import Checksum
internal import FunctionKit
internal import NIOCore
internal import ObjectStorage
internal import Synchronization

/// Takes a request's body piece by piece: undoes aws-chunked, checks what the request said of the body, and writes it to
/// a file or keeps it. All calls block (digests and files), so they are made on a thread pool, one after the other.
final class BodySink: Sendable {
    /// What a request says of its body.
    struct Claims: Sendable {
        var identity: SigV4Identity
        /// The length after decoding, where it is told.
        var lengthBytes: Int64?
        var trailer: String?
        var md5: String?
        var crc32: UInt32?
        var sha1: String?
        var sha256: String?

        init(_ request: S3Request, _ identity: SigV4Identity) throws(S3Fault) {
            self.identity = identity
            let length = identity.payload.isChunked ? "x-amz-decoded-content-length" : "content-length"
            if let text = request.header(length) {
                guard let number = Int64(text), number >= 0 else { throw .invalidArgument("\(length) is no length") }
                lengthBytes = number
            } else if identity.payload.isChunked {
                throw S3Fault(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
            }
            trailer = request.header("x-amz-trailer")
            md5 = request.header("content-md5")
            sha1 = request.header("x-amz-checksum-sha1")
            sha256 = request.header("x-amz-checksum-sha256")
            if let text = request.header("x-amz-checksum-crc32") {
                guard let number = S3Checksum.decode(text) else {
                    throw .invalidRequest("Value for x-amz-checksum-crc32 header is invalid.")
                }
                crc32 = number
            }
            for name in ["x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme"] where request.header(name) != nil {
                throw .notImplemented("the checksum '\(name)'")
            }
        }

        mutating func dropChecksums() {
            crc32 = nil
            sha1 = nil
            sha256 = nil
        }
    }

    private struct State: ~Copyable {
        var decoder: AWSChunkedDecoder?
        var sha1: MessageDigest?
        var sha256: MessageDigest?
        var kept = ByteBuffer()
        var lengthBytes: Int64 = 0
    }

    private let claims: Claims
    private let file: StagedFile?
    private let limitBytes: Int64
    private let state: Mutex<State>

    /// Makes a sink.
    ///
    /// - Parameters:
    ///   - claims: What the request says.
    ///   - file: Where the bytes go; `nil` to keep them in memory.
    ///   - limitBytes: The most bytes after decoding.
    /// - Throws: ``S3Fault`` or `SigV4Rejection` when the claims alone are wrong.
    init(_ claims: Claims, file: StagedFile?, limitBytes: Int64) throws {
        guard claims.lengthBytes ?? 0 <= limitBytes else { throw S3Fault.entityTooLarge }
        self.claims = claims
        self.file = file
        self.limitBytes = limitBytes
        var state = State()
        let payload = claims.identity.payload
        if payload.isChunked {
            state.decoder = try AWSChunkedDecoder(
                payload: payload, seed: claims.identity.chunkSeed, decodedLengthBytes: claims.lengthBytes,
                trailer: claims.trailer)
        }
        if claims.sha1 != nil { state.sha1 = MessageDigest(.sha1) }
        if case .sha256 = payload { state.sha256 = MessageDigest(.sha256) }
        if claims.sha256 != nil { state.sha256 = MessageDigest(.sha256) }
        self.state = Mutex(state)
    }

    func append(_ pieces: [ByteBuffer]) throws {
        try state.withLock { state in
            for var piece in pieces {
                guard state.decoder != nil else {
                    try take(piece, &state)
                    continue
                }
                while let decoded = try state.decoder?.next(&piece) { try take(decoded, &state) }
            }
        }
    }

    private func take(_ piece: ByteBuffer, _ state: inout State) throws {
        state.lengthBytes += Int64(piece.readableBytes)
        guard state.lengthBytes <= limitBytes else { throw S3Fault.entityTooLarge }
        state.sha1?.update(piece)
        state.sha256?.update(piece)
        if let file { try file.append(piece) } else { state.kept.writeImmutableBuffer(piece) }
    }

    /// Checks the body, which is complete now. To be called once.
    ///
    /// - Returns: The digests of the file; the bytes, when there is none.
    func finish() throws -> (digests: StagedFile.Digests, kept: ByteBuffer) {
        try state.withLock { state in
            if let decoder = state.decoder.take() { try decoder.finish() }
            if let length = claims.lengthBytes, length != state.lengthBytes {
                throw S3Fault(
                    400, "IncompleteBody",
                    "You did not provide the number of bytes specified by the Content-Length HTTP header")
            }
            if let sha256 = state.sha256.take() {
                let digest = sha256.finish()
                if case .sha256(let expected) = claims.identity.payload, Hexadecimal.encode(digest) != expected {
                    throw S3Fault.contentSHA256Mismatch
                }
                if let expected = claims.sha256, S3Checksum.base64(digest) != expected { throw S3Fault.badDigest }
            }
            if let sha1 = state.sha1.take(), let expected = claims.sha1 {
                guard S3Checksum.base64(sha1.finish()) == expected else { throw S3Fault.badDigest }
            }
            let digests = file?.finish() ?? BodySink.digests(of: state.kept)
            if let expected = claims.md5, S3Checksum.base64(digests.md5) != expected { throw S3Fault.badDigest }
            if let expected = claims.crc32, digests.crc32 != expected { throw S3Fault.badDigest }
            return (digests, state.kept)
        }
    }

    private static func digests(of buffer: ByteBuffer) -> StagedFile.Digests {
        var crc32 = CRC32()
        crc32.update(buffer)
        return StagedFile.Digests(
            md5: MessageDigest.digest(.md5, of: buffer), crc32: crc32.value, sizeBytes: Int64(buffer.readableBytes))
    }
}
