import Checksum
import FunctionKit
import NIOCore
import Testing

@testable import ObjectStorage

@Suite struct AWSChunkedDecoderTests {
    static let seed = SigV4ChunkSeed(
        key: SigV4SigningKey(secret: S3Secret("secret"), day: "20260101", region: "us-east-1", service: "s3"),
        dateTime: "20260101T000000Z", signature: String(repeating: "0", count: 64))
    static let chunks = ["hello ", "aws-chunked\r\n", "w"]
    static let object = chunks.joined()
    static let length = Int64(object.utf8.count)

    /// A body as a client would make it.
    private func body(_ payload: SigV4Payload, trailers: [String] = []) -> String {
        var previous = Self.seed.signature
        var text = ""
        for chunk in Self.chunks + [""] {
            text += String(chunk.utf8.count, radix: 16)
            if payload != .streamingUnsignedTrailer {
                let hash = Hexadecimal.encode(MessageDigest.digest(.sha256, of: chunk))
                previous = Self.seed.key.sign(
                    "AWS4-HMAC-SHA256-PAYLOAD\n\(Self.seed.dateTime)\n\(Self.seed.key.scope)\n\(previous)\n"
                        + "\(SigV4Payload.emptySHA256)\n\(hash)")
                text += ";chunk-signature=\(previous)"
            }
            text += chunk.isEmpty ? "\r\n" : "\r\n\(chunk)\r\n"
        }
        for trailer in trailers { text += "\(trailer)\r\n" }
        if payload == .streamingSignedTrailer {
            let hash = Hexadecimal.encode(
                MessageDigest.digest(.sha256, of: trailers.map { "\($0)\n" }.joined()))
            let signature = Self.seed.key.sign(
                "AWS4-HMAC-SHA256-TRAILER\n\(Self.seed.dateTime)\n\(Self.seed.key.scope)\n\(previous)\n\(hash)")
            text += "x-amz-trailer-signature:\(signature)\r\n"
        }
        return text + "\r\n"
    }

    private func decode(
        _ pieces: [String], payload: SigV4Payload, length: Int64? = length, trailer: String? = nil
    ) throws(SigV4Rejection) -> String {
        var decoder = try AWSChunkedDecoder(
            payload: payload, seed: payload == .streamingUnsignedTrailer ? nil : Self.seed, decodedLengthBytes: length,
            trailer: trailer)
        var decoded = ""
        for piece in pieces {
            var buffer = ByteBuffer(string: piece)
            while let bytes = try decoder.next(&buffer) { decoded += String(buffer: bytes) }
        }
        try decoder.finish()
        return decoded
    }

    private func code(
        _ body: String, payload: SigV4Payload, length: Int64? = length, trailer: String? = nil
    ) -> String {
        do {
            _ = try decode([body], payload: payload, length: length, trailer: trailer)
            return "accepted"
        } catch { return error.code }
    }

    static let crc32: String = {
        var crc = CRC32()
        crc.update(ByteBuffer(string: object))
        return "x-amz-checksum-crc32:\(S3Checksum.encode(crc.value))"
    }()
    static let sha256 =
        "x-amz-checksum-sha256:" + S3Checksum.base64(MessageDigest.digest(.sha256, of: object))
    static let kinds: [(payload: SigV4Payload, trailers: [String], name: String?)] = [
        (.streamingUnsignedTrailer, [crc32], "x-amz-checksum-crc32"), (.streamingUnsignedTrailer, [], nil),
        (.streamingUnsignedTrailer, [sha256], "X-Amz-Checksum-Sha256"), (.streamingSigned, [], nil),
        (.streamingSignedTrailer, [crc32], "x-amz-checksum-crc32"), (.streamingSignedTrailer, [], nil),
    ]

    @Test(arguments: 0..<kinds.count) func decodesAtEverySplit(_ kind: Int) throws {
        let (payload, trailers, name) = Self.kinds[kind]
        let whole = body(payload, trailers: trailers)
        let characters = Array(whole.utf8)
        #expect(try decode([whole], payload: payload, trailer: name) == Self.object)
        for split in 0...characters.count {
            let halves = [characters[..<split], characters[split...]].map { String(decoding: $0, as: UTF8.self) }
            #expect(try decode(halves, payload: payload, trailer: name) == Self.object, "split at \(split)")
        }
        let single = characters.map { String(decoding: [$0], as: UTF8.self) }
        #expect(try decode(single, payload: payload, trailer: name) == Self.object)
    }

    @Test(arguments: 0..<kinds.count) func refusesEveryTruncation(_ kind: Int) throws {
        let (payload, trailers, name) = Self.kinds[kind]
        let characters = Array(body(payload, trailers: trailers).utf8)
        for count in 0..<characters.count {
            let text = String(decoding: characters[..<count], as: UTF8.self)
            #expect(code(text, payload: payload, trailer: name) == "IncompleteBody", "\(count) bytes")
        }
    }

    @Test(arguments: 0..<kinds.count) func refusesEveryChangedByteThatIsCovered(_ kind: Int) throws {
        let (payload, trailers, name) = Self.kinds[kind]
        guard name != nil || payload == .streamingSigned else { return }
        let characters = Array(body(payload, trailers: trailers).utf8)
        for index in characters.indices {
            var changed = characters
            changed[index] = changed[index] == UInt8(ascii: "7") ? UInt8(ascii: "8") : UInt8(ascii: "7")
            let text = String(decoding: changed, as: UTF8.self)
            // LF alone ends a line too, and the line after the last one may say anything of its own.
            guard characters[index] != UInt8(ascii: "\r") else { continue }
            #expect(code(text, payload: payload, trailer: name) != "accepted", "byte \(index)")
        }
    }

    @Test func refusesWrongLengthsAndMore() {
        let payload = SigV4Payload.streamingUnsignedTrailer
        let whole = body(payload)
        #expect(code(whole, payload: payload, length: nil) == "accepted")
        #expect(code(whole, payload: payload, length: Self.length + 1) == "IncompleteBody")
        #expect(code(whole, payload: payload, length: Self.length - 1) == "IncompleteBody")
        #expect(code(whole + "x", payload: payload) == "InvalidRequest")
        #expect(code("-1\r\n", payload: payload) == "InvalidRequest")
        #expect(code("ffffffffffffffff\r\n", payload: payload, length: nil) == "InvalidRequest")
        #expect(code("\r\n", payload: payload) == "InvalidRequest")
        #expect(code("1\r\nab\r\n", payload: payload) == "InvalidRequest")
        #expect(code(String(repeating: "0", count: 5000), payload: payload) == "InvalidRequest")
        #expect(code("6\r\nhello \r\n", payload: .streamingSigned) == "InvalidRequest")
        #expect(code(body(payload), payload: payload, trailer: "x-amz-checksum-crc32") == "MalformedTrailerError")
        #expect(
            code(
                body(payload, trailers: ["x-amz-checksum-crc32:AAAAAA=="]), payload: payload,
                trailer: "x-amz-checksum-crc32")
                == "BadDigest")
        #expect(code(body(payload), payload: payload, trailer: "x-amz-checksum-crc64nvme") == "InvalidRequest")
        let unsignedTrailer = body(.streamingSigned).dropLast(2) + "\(Self.crc32)\r\n\r\n"
        #expect(
            code(String(unsignedTrailer), payload: .streamingSignedTrailer, trailer: "x-amz-checksum-crc32")
                == "SignatureDoesNotMatch")
    }
}
