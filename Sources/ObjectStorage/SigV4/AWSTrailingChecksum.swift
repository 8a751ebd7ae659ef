internal import Checksum
internal import NIOCore

/// The checksum of a body that is announced in `x-amz-trailer` and follows the body.
struct AWSTrailingChecksum: ~Copyable, Sendable {
    private let name: String
    private var crc32: CRC32?
    private var digest: MessageDigest?

    init(trailer: String) throws(SigV4Rejection) {
        name = trailer.lowercased()
        crc32 = nil
        digest = nil
        switch name {
        case "x-amz-checksum-crc32": crc32 = CRC32()
        case "x-amz-checksum-sha256": digest = MessageDigest(.sha256)
        case "x-amz-checksum-sha1": digest = MessageDigest(.sha1)
        default:
            throw .invalidRequest(
                "The trailer \(name) is not supported; use x-amz-checksum-crc32, -sha1 or -sha256.")
        }
    }

    mutating func update(_ piece: ByteBuffer) {
        crc32?.update(piece)
        digest?.update(piece)
    }

    consuming func check(_ trailers: [(name: String, value: String)]) throws(SigV4Rejection) {
        let name = name
        guard let claimed = trailers.first(where: { $0.name == name })?.value else {
            throw SigV4Rejection(
                status: 400, code: "MalformedTrailerError",
                message: "The request did not contain the trailing header \(name) that it announced.")
        }
        let actual = crc32.map { S3Checksum.encode($0.value) } ?? S3Checksum.base64(digest.take()?.finish() ?? [])
        guard actual == claimed else {
            throw SigV4Rejection(
                status: 400, code: "BadDigest",
                message: "The \(name) you specified did not match the calculated checksum.")
        }
    }
}
