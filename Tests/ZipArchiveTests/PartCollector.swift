import Checksum
import NIOCore
import TestSupport
import Testing

@testable import ZipArchive

/// A store that keeps parts by number, as a multipart upload does.
struct PartCollector {
    private(set) var parts: [Int: ByteBuffer] = [:]
    private(set) var order: [Int] = []
    private(set) var largestPieceCount = 0

    mutating func drain(_ assembler: inout ZipPartAssembler) {
        while let part = assembler.takePart() {
            var bytes = ByteBuffer()
            for piece in part.body { bytes.writeImmutableBuffer(piece) }
            #expect(bytes.readableBytes == part.sizeBytes)
            #expect(CRC32(of: bytes).value == part.crc32)
            parts[part.number] = bytes
            order.append(part.number)
            largestPieceCount = max(largestPieceCount, part.body.count)
        }
    }

    /// The parts of the finished archive, joined; parts beyond its number are not part of it.
    func archive(_ summary: ZipSummary, partSizeBytes: Int) -> ByteBuffer {
        var archive = ByteBuffer()
        for number in 1...summary.partCount {
            guard let part = parts[number] else {
                Issue.record("Part \(number) is missing.")
                continue
            }
            if number < summary.partCount { #expect(part.readableBytes == partSizeBytes) }
            archive.writeImmutableBuffer(part)
        }
        #expect(Int64(archive.readableBytes) == summary.sizeBytes)
        #expect(CRC32(of: archive).value == summary.crc32)
        return archive
    }
}

extension SeededGenerator {
    /// Bytes that compress.
    mutating func text(_ count: Int) -> ByteBuffer {
        var buffer = ByteBuffer()
        while buffer.readableBytes < count { buffer.writeString("line \(next() % 100) of a log file\n") }
        return buffer.getSlice(at: 0, length: count) ?? ByteBuffer()
    }
}
