internal import FunctionKit
internal import NIOCore

/// The places of what matters in the text of a published message, found without decoding it.
///
/// ``JobMessage`` and the scripts write texts of one fixed form: the type is the first member, `data` the second, and what
/// follows `data` has a known length but for the digits of `seq`. So a few comparisons at both ends suffice, whatever the
/// length between; decoding each message once more for each of ten thousand watchers would be the larger part of its way.
/// A text of another form is not found here; see ``WatchMessage/init(published:)``.
struct PublishedForm {
    let kind: WatchMessage.Kind
    let seq: Int64
    let isFinal: Bool
    /// The value of `data`.
    let data: Range<Int>
    /// The digits of `seq`.
    let number: Range<Int>

    /// `,"timestamp":"2026-11-23T15:04:05.678Z"}`
    private static let tailCount = 40

    init?(_ bytes: UnsafeRawBufferPointer) {
        guard let (kind, start) = Self.kind(bytes) else { return nil }
        let end = bytes.count - Self.tailCount
        guard end > start, Self.has(#","timestamp":""#, bytes, at: end), Self.has("\"}", bytes, at: bytes.count - 2)
        else {
            return nil
        }
        var seq: Int64 = 0
        var power: Int64 = 1
        var place = end
        while place > start, end - place < 17, let digit = Self.digit(bytes[place - 1]) {
            place -= 1
            seq += digit * power
            power *= 10
        }
        guard place < end, end - place < 17, Self.has(#","seq":"#, bytes, at: place - 7), place - 7 > start else {
            return nil
        }
        self.kind = kind
        self.seq = seq
        data = start..<place - 7
        number = place..<end
        switch kind {
        case .progress: isFinal = false
        case .complete: isFinal = true
        case .error:
            isFinal = Self.has(#""final":true}"#, bytes, at: data.upperBound - 13)
            guard isFinal || Self.has(#""final":false}"#, bytes, at: data.upperBound - 14) else { return nil }
        case .status:
            // {"jobId":"…36…","status":"cancelled",
            let status = start + 46
            guard Self.has(#"{"jobId":""#, bytes, at: start), Self.has(#"","status":""#, bytes, at: status) else {
                return nil
            }
            isFinal =
                Self.has(#"cancelled""#, bytes, at: status + 12) || Self.has(#"expired""#, bytes, at: status + 12)
        }
    }

    private static func kind(_ bytes: UnsafeRawBufferPointer) -> (WatchMessage.Kind, start: Int)? {
        guard has(#"{"type":""#, bytes, at: 0) else { return nil }
        if has(#"progress","data":"#, bytes, at: 9) { return (.progress, 26) }
        if has(#"status","data":"#, bytes, at: 9) { return (.status, 24) }
        if has(#"complete","data":"#, bytes, at: 9) { return (.complete, 26) }
        if has(#"error","data":"#, bytes, at: 9) { return (.error, 23) }
        return nil
    }

    private static func digit(_ byte: UInt8) -> Int64? {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") ? Int64(byte - UInt8(ascii: "0")) : nil
    }

    /// Whether a text stands at that place.
    static func has(_ text: StaticString, _ bytes: UnsafeRawBufferPointer, at place: Int) -> Bool {
        let count = text.utf8CodeUnitCount
        guard place >= 0, place + count <= bytes.count else { return false }
        for index in 0..<count where bytes[place + index] != text.utf8Start[index] { return false }
        return true
    }
}
