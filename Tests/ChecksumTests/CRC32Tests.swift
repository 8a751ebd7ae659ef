import NIOCore
import TestSupport
import Testing

@testable import Checksum

@Suite struct CRC32Tests {
    @Test func theCheckValueOfTheStandard() {
        #expect(CRC32(of: ByteBuffer(string: "123456789")).value == 0xCBF4_3926)
        #expect(CRC32(of: ByteBuffer()).value == 0)
    }

    /// The fast way of some CPUs starts at 1024 bytes; shorter pieces go the other way.
    @Test func everyLengthAndOffsetEqualsShortPieces() {
        var random = SeededGenerator(seed: 3)
        let bytes = random.bytes(9000)
        for count in [1023, 1024, 1025, 1279, 1280, 1281, 4096, 8191, 8990] {
            for offset in 0..<9 {
                var rest = bytes.getSlice(at: offset, length: count) ?? bytes
                let whole = CRC32(of: rest)
                var pieces = CRC32()
                while let piece = rest.readSlice(length: min(rest.readableBytes, 100)), piece.readableBytes > 0 {
                    pieces.update(piece)
                }
                #expect(whole == pieces)
                var continued = CRC32(0x1234_5678)
                continued.update(bytes.getSlice(at: offset, length: count) ?? bytes)
                var joined = CRC32(0x1234_5678)
                joined.append(whole, byteCount: Int64(count))
                #expect(continued == joined)
            }
        }
    }

    @Test func emptyBuffersChangeNothing() {
        var crc = CRC32(of: ByteBuffer(string: "123456789"))
        crc.update(ByteBuffer())
        crc.append(CRC32(), byteCount: 0)
        #expect(crc.value == 0xCBF4_3926)
    }

    @Test(arguments: [0, 1, 2, 7, 8, 255, 4096, 65_537, 1_000_003])
    func joinedChecksumsEqualOnePass(firstBytes: Int) {
        var random = SeededGenerator(seed: UInt64(firstBytes))
        for secondBytes in [0, 1, 3, 64, 1000, 99_991] {
            let first = random.bytes(firstBytes)
            let second = random.bytes(secondBytes)
            var whole = CRC32(of: first)
            whole.update(second)
            var joined = CRC32(of: first)
            joined.append(CRC32(of: second), byteCount: Int64(secondBytes))
            #expect(joined == whole)
        }
    }

    @Test func joiningWorksPastFourGibibytes() {
        // 2^36 zero bytes: joined by doubling, and at once.
        var doubled = CRC32(of: ByteBuffer(repeating: 0, count: 1 << 16))
        var count: Int64 = 1 << 16
        while count < 1 << 36 {
            doubled.append(doubled, byteCount: count)
            count *= 2
        }
        var start = CRC32(of: ByteBuffer(string: "x"))
        let copy = start
        start.append(doubled, byteCount: count)
        var steps = copy
        let half = { () -> CRC32 in
            var crc = CRC32(of: ByteBuffer(repeating: 0, count: 1 << 16))
            var length: Int64 = 1 << 16
            while length < 1 << 35 {
                crc.append(crc, byteCount: length)
                length *= 2
            }
            return crc
        }()
        steps.append(half, byteCount: 1 << 35)
        steps.append(half, byteCount: 1 << 35)
        #expect(start == steps)
    }
}
