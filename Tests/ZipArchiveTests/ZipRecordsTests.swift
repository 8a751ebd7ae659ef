import Checksum
import NIOCore
import Testing

@testable import ZipArchive

@Suite struct ZipRecordsTests {
    private func entry(size: Int64, offset: Int64 = 0, name: String = "a.bin") -> ZipEntry {
        ZipEntry(
            name: name, method: .store, modifiedAt: .earliest, crc32: CRC32(0x1234_5678), compressedBytes: size,
            sizeBytes: size, offset: offset)
    }

    private func local(_ entry: ZipEntry) -> ByteBuffer {
        var buffer = ByteBuffer()
        entry.writeLocalHeader(into: &buffer)
        return buffer
    }

    private func central(_ entry: ZipEntry) -> ByteBuffer {
        var buffer = ByteBuffer()
        entry.writeCentralHeader(into: &buffer)
        return buffer
    }

    private func integer<T: FixedWidthInteger>(_ buffer: ByteBuffer, _ offset: Int, as type: T.Type = T.self) -> T? {
        buffer.getInteger(at: offset, endianness: .little, as: type)
    }

    @Test func theLargestSizeThatFitsHasNoZip64Field() {
        let header = local(entry(size: 0xFFFF_FFFE))
        #expect(header.readableBytes == 30 + 5)
        #expect(integer(header, 4) == 10 as UInt16)
        #expect(integer(header, 6) == 0 as UInt16)
        #expect(integer(header, 14) == 0x1234_5678 as UInt32)
        #expect(integer(header, 18) == 0xFFFF_FFFE as UInt32)
        #expect(central(entry(size: 0xFFFF_FFFE, offset: 0xFFFF_FFFE)).readableBytes == 46 + 5)
    }

    @Test func oneByteMoreMovesBothSizesIntoZip64() {
        let header = local(entry(size: 0xFFFF_FFFF))
        #expect(header.readableBytes == 30 + 5 + 20)
        #expect(integer(header, 4) == 45 as UInt16)
        #expect(integer(header, 18) == UInt32.max)
        #expect(integer(header, 22) == UInt32.max)
        #expect(integer(header, 35) == 1 as UInt16)
        #expect(integer(header, 37) == 16 as UInt16)
        #expect(integer(header, 39) == 0xFFFF_FFFF as UInt64)
        #expect(integer(header, 47) == 0xFFFF_FFFF as UInt64)
    }

    @Test func theDirectoryHoldsOnlyTheFieldsThatOverflow() {
        let far = central(entry(size: 7, offset: 1 << 33))
        #expect(far.readableBytes == 46 + 5 + 12)
        #expect(integer(far, 6) == 45 as UInt16)
        #expect(integer(far, 20) == 7 as UInt32)
        #expect(integer(far, 42) == UInt32.max)
        #expect(integer(far, 53) == 8 as UInt16)
        #expect(integer(far, 55) == 1 << 33 as UInt64)
        let both = central(entry(size: 1 << 32, offset: 1 << 33))
        #expect(both.readableBytes == 46 + 5 + 28)
        #expect(integer(both, 30) == 28 as UInt16)
        #expect(integer(both, 71) == 1 << 33 as UInt64)
        #expect(integer(both, 38) == 0o100_644 << 16 as UInt32)
    }

    @Test func onlyNamesBeyondASCIIAreMarkedAsUTF8() {
        #expect(integer(local(entry(size: 1, name: "a")), 6) == 0 as UInt16)
        #expect(integer(local(entry(size: 1, name: "ü")), 6) == 0x0800 as UInt16)
        #expect(integer(central(entry(size: 1, name: "ü")), 8) == 0x0800 as UInt16)
    }

    @Test(arguments: [
        (65_534 as Int64, 0xFFFF_FFFE as Int64, 22), (65_535, 0, 98), (1, 0xFFFF_FFFF, 98),
    ])
    func theEndIsZip64OnlyWhereItMust(entryCount: Int64, offset: Int64, expectedBytes: Int) {
        var buffer = ByteBuffer()
        ZipDirectoryEnd(entryCount: entryCount, directoryBytes: 100, directoryOffset: offset).write(into: &buffer)
        #expect(buffer.readableBytes == expectedBytes)
        guard expectedBytes == 98 else { return }
        #expect(integer(buffer, 4) == 44 as UInt64)
        #expect(integer(buffer, 32) == UInt64(entryCount))
        #expect(integer(buffer, 48) == UInt64(offset))
        #expect(integer(buffer, 56) == 0x0706_4B50 as UInt32)
        #expect(integer(buffer, 64) == UInt64(offset + 100))
        #expect(integer(buffer, 86) == (entryCount > 65_534 ? UInt16.max : 1))
        #expect(integer(buffer, 92) == (offset > 0xFFFF_FFFE ? UInt32.max : 0))
    }

    @Test func timesArePackedInTwoSecondSteps() {
        let time = DOSDateTime(year: 2026, month: 11, day: 23, hour: 15, minute: 4, second: 59)
        #expect(time.date == UInt16((2026 - 1980) << 9 | 11 << 5 | 23))
        #expect(time.time == UInt16(15 << 11 | 4 << 5 | 29))
        #expect(DOSDateTime(year: 1970, month: 5, day: 5, hour: 5, minute: 5, second: 5) == .earliest)
        #expect(DOSDateTime(year: 3000, month: 1, day: 1, hour: 0, minute: 0, second: 0).date >> 9 == 127)
    }
}
