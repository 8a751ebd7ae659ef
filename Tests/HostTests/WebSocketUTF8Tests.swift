import TestSupport
import Testing

@testable import Host

@Suite struct WebSocketUTF8Tests {
    /// Where the first byte is that no text can have there, and whether what comes before it is whole.
    private func check(_ bytes: [UInt8]) -> (failure: Int?, isComplete: Bool) {
        var validator = UTF8Validator()
        for (index, byte) in bytes.enumerated() where !withUnsafeBytes(of: byte, { validator.take($0) }) {
            return (index, false)
        }
        return (nil, validator.isComplete)
    }

    /// Whether some text begins with these bytes, by trying.
    private func canBegin(_ bytes: ArraySlice<UInt8>) -> Bool {
        let ends: [[UInt8]] = [
            [], [0x80], [0xA0], [0x80, 0x80], [0xA0, 0x80], [0x90, 0x80], [0x80, 0x80, 0x80], [0x90, 0x80, 0x80],
        ]
        return ends.contains { String(validating: bytes + $0, as: UTF8.self) != nil }
    }

    @Test func `every character of Unicode passes, at any place of a word`() {
        var validator = UTF8Validator()
        var bytes: [UInt8] = []
        for number in UInt32(0)...0x10_FFFF {
            guard let scalar = Unicode.Scalar(number) else { continue }
            bytes += Array(String(Character(scalar)).utf8)
        }
        #expect(bytes.withUnsafeBytes { validator.take($0) } && validator.isComplete)
        for count in 0..<20 {
            var validator = UTF8Validator()
            let text = Array((String(repeating: "a", count: count) + "é" + String(repeating: "b", count: 9)).utf8)
            #expect(text.withUnsafeBytes { validator.take($0) } && validator.isComplete)
            var other = UTF8Validator()
            var broken = text
            broken[count] = 0xFF
            #expect(!broken.withUnsafeBytes { other.take($0) })
        }
    }

    @Test func `every sequence of two bytes is judged as the standard library does`() {
        var wrong: [[UInt8]] = []
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                let bytes = [first, second]
                let (failure, isComplete) = check(bytes)
                let isText = String(validating: bytes, as: UTF8.self) != nil
                let expected = isText ? nil : !canBegin(bytes[..<1]) ? 0 : !canBegin(bytes[...]) ? 1 : nil
                if failure != expected || isText != (failure == nil && isComplete) { wrong.append(bytes) }
            }
        }
        #expect(wrong.isEmpty)
    }

    @Test func `random bytes fail where no text can go on`() {
        var random = SeededGenerator(seed: 6)
        let pool: [UInt8] = [
            0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEE, 0xEF,
            0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
        ]
        for _ in 0..<4000 {
            let bytes = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                pool[Int.random(in: 0..<pool.count, using: &random)]
            }
            let (failure, isComplete) = check(bytes)
            #expect(failure == bytes.indices.first { !canBegin(bytes[...$0]) }, "\(bytes)")
            if failure == nil { #expect(isComplete == (String(validating: bytes, as: UTF8.self) != nil)) }
        }
    }
}
