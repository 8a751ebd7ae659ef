internal import NIOCore

/// The chain of signatures of an aws-chunked body: each chunk's builds on the one before.
struct AWSChunkSignatures: ~Copyable, Sendable {
    private let seed: SigV4ChunkSeed
    private var previous: String
    private var claimed = ""
    private var digest = MessageDigest(.sha256)

    /// Whether the trailers' signature was right, or none is asked for.
    private(set) var isTrailerVerified: Bool

    init(seed: SigV4ChunkSeed, signsTrailer: Bool) {
        self.seed = seed
        previous = seed.signature
        isTrailerVerified = !signsTrailer
    }

    mutating func begin(_ signature: String) { claimed = signature }

    mutating func update(_ piece: ByteBuffer) { digest.update(piece) }

    mutating func endChunk() -> Bool {
        var finished = MessageDigest(.sha256)
        swap(&finished, &digest)
        let hash = Hexadecimal.encode(finished.finish())
        let signature = seed.key.sign(
            "AWS4-HMAC-SHA256-PAYLOAD\n\(seed.dateTime)\n\(seed.key.scope)\n\(previous)\n"
                + "\(SigV4Payload.emptySHA256)\n\(hash)")
        previous = signature
        return MessageDigest.constantTimeEqual(signature, claimed)
    }

    mutating func endTrailers(_ trailers: [(name: String, value: String)], signature claimed: String) -> Bool {
        let text = trailers.map { "\($0.name):\($0.value)\n" }.joined()
        let hash = Hexadecimal.encode(MessageDigest.digest(.sha256, of: text))
        let signature = seed.key.sign(
            "AWS4-HMAC-SHA256-TRAILER\n\(seed.dateTime)\n\(seed.key.scope)\n\(previous)\n\(hash)")
        isTrailerVerified = MessageDigest.constantTimeEqual(signature, claimed)
        return isTrailerVerified
    }
}
