import Glibc
import NIOCore

/// A message of progress as the host's workers publish it. The time at which it was sent stands as its `bytes`, so it
/// needs no field that real ones do not have.
enum Message {
    private static let bytesKey = Array("\"bytes\":".utf8)
    private static let seqKey = Array("\"seq\":".utf8)
    private static let progressType = Array("\"type\":\"progress\"".utf8)

    static func write(seq: Int64, sentMicroseconds: Int64, to buffer: inout ByteBuffer) {
        buffer.writeString(
            """
            {"type":"progress","data":{"progress":{"current":1,"total":3,"percentage":33.3,"bytes":\(sentMicroseconds),\
            "totalBytes":9000000000000,"estimatedTimeRemaining":4},\
            "files":[{"file_id":100001,"status":"completed","size":524288}]},\
            "seq":\(seq),"timestamp":"2026-01-01T00:00:00.000Z"}
            """)
    }

    /// Reads number and time of a message of progress; `nil` for all others.
    static func read(_ bytes: UnsafeRawBufferPointer) -> (seq: Int64, sentMicroseconds: Int64)? {
        guard find(progressType, in: bytes) != nil, let sent = number(after: bytesKey, in: bytes),
            let seq = number(after: seqKey, in: bytes)
        else { return nil }
        return (seq, sent)
    }

    /// The place of a key's first occurrence.
    static func find(_ key: [UInt8], in bytes: UnsafeRawBufferPointer) -> Int? {
        guard let base = bytes.baseAddress, let first = key.first else { return nil }
        let end = base + bytes.count - key.count + 1
        var place = base
        while place < end, let hit = memchr(place, CInt(first), end - place) {
            if memcmp(hit, key, key.count) == 0 { return UnsafeRawPointer(hit) - base }
            place = UnsafeRawPointer(hit) + 1
        }
        return nil
    }

    private static func number(after key: [UInt8], in bytes: UnsafeRawBufferPointer) -> Int64? {
        guard let place = find(key, in: bytes) else { return nil }
        var value: Int64 = 0
        for byte in bytes[(place + key.count)...] {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { break }
            value = value &* 10 &+ Int64(byte - UInt8(ascii: "0"))
        }
        return value
    }
}

/// Microseconds of the monotonic clock.
func microseconds() -> Int64 { Int64(NIODeadline.now().uptimeNanoseconds / 1000) }
