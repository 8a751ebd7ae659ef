import Checksum
import NIOCore
import TestSupport
import Testing

@testable import ZipArchive

@Suite struct ZipPartAssemblerTests {
    private enum Way: CaseIterable {
        case whole
        case known
        case unknown
        case compressed
    }

    private struct Step {
        var way: Way
        var name: String
        var contents: ByteBuffer
        /// After so many bytes the member is given up; `nil` keeps it.
        var discardAfter: Int?
    }

    private func steps(_ random: inout SeededGenerator, discards: Bool) -> [Step] {
        (0..<Int.random(in: 0...20, using: &random)).map { index in
            let way = Way.allCases.randomElement(using: &random) ?? .whole
            let size =
                Bool.random(using: &random)
                ? Int.random(in: 0...50, using: &random) : Int.random(in: 0...5000, using: &random)
            let contents = way == .compressed ? random.text(size) : random.bytes(size)
            let gives = discards && (way == .known || way == .unknown) && Int.random(in: 0..<3, using: &random) == 0
            return Step(
                way: way, name: "\(index)-\(String(repeating: "n", count: Int.random(in: 1...40, using: &random)))",
                contents: contents, discardAfter: gives ? Int.random(in: 0...size, using: &random) : nil)
        }
    }

    private func assemble(
        _ steps: [Step], partSizeBytes: Int, random: inout SeededGenerator
    ) throws -> (ByteBuffer, ZipSummary) {
        var assembler = ZipPartAssembler(partSizeBytes: partSizeBytes, maximumPartCount: 1_000_000)
        var collector = PartCollector()
        for step in steps {
            var member = ZipMember(name: step.name, sizeBytes: Int64(step.contents.readableBytes))
            switch step.way {
            case .whole: try assembler.add(member, contents: step.contents)
            case .compressed: try assembler.add(member, contents: step.contents, deflateLevel: 6)
            case .known, .unknown:
                let crc = CRC32(of: step.contents).value
                if step.way == .known { member.crc32 = crc }
                var rest = step.contents
                if let limit = step.discardAfter { rest = rest.readSlice(length: limit) ?? rest }
                try assembler.beginMember(member)
                while rest.readableBytes > 0 {
                    let count = min(rest.readableBytes, Int.random(in: 1...1500, using: &random))
                    try assembler.write(rest.readSlice(length: count) ?? rest)
                    if Bool.random(using: &random) { collector.drain(&assembler) }
                }
                if step.discardAfter == nil {
                    let found = try assembler.endMember()
                    #expect(found == crc)
                } else {
                    _ = assembler.discardMember()
                }
            }
            if Bool.random(using: &random) { collector.drain(&assembler) }
        }
        let summary = try assembler.finish()
        collector.drain(&assembler)
        #expect(summary.memberCount == steps.filter { $0.discardAfter == nil }.count)
        return (collector.archive(summary, partSizeBytes: partSizeBytes), summary)
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func anyCutIntoPartsGivesTheSameBytes(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let steps = steps(&random, discards: false)
        let partSize = Int.random(in: 1...(seed % 2 == 0 ? 60 : 3000), using: &random)
        let (cut, cutSummary) = try assemble(steps, partSizeBytes: partSize, random: &random)
        let (whole, wholeSummary) = try assemble(steps, partSizeBytes: 1 << 24, random: &random)
        #expect(cut == whole)
        #expect(cutSummary.crc32 == wholeSummary.crc32)
        #expect(wholeSummary.partCount == 1)
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func discardedMembersLeaveNoTrace(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed &+ 1000)
        let steps = steps(&random, discards: true)
        let partSize = Int.random(in: 1...(seed % 2 == 0 ? 60 : 3000), using: &random)
        let (withDiscards, _) = try assemble(steps, partSizeBytes: partSize, random: &random)
        let (clean, _) = try assemble(
            steps.filter { $0.discardAfter == nil }, partSizeBytes: partSize, random: &random)
        #expect(withDiscards == clean)
    }

    @Test func thePartWithAnUnknownHeaderComesLast() throws {
        var assembler = ZipPartAssembler(partSizeBytes: 1000)
        try assembler.add(ZipMember(name: "small", sizeBytes: 3), contents: ByteBuffer(string: "abc"))
        try assembler.beginMember(ZipMember(name: "large", sizeBytes: 5000))
        var collector = PartCollector()
        for _ in 0..<5 {
            try assembler.write(ByteBuffer(repeating: 7, count: 1000))
            collector.drain(&assembler)
        }
        #expect(collector.order == [2, 3, 4, 5])
        _ = try assembler.endMember()
        collector.drain(&assembler)
        #expect(collector.order == [2, 3, 4, 5, 1])
        let summary = try assembler.finish()
        collector.drain(&assembler)
        #expect(collector.order == [2, 3, 4, 5, 1, 6])
        _ = collector.archive(summary, partSizeBytes: 1000)
    }

    @Test func aKnownChecksumHoldsNothingBackAndIsChecked() throws {
        let contents = ByteBuffer(repeating: 7, count: 5000)
        var member = ZipMember(name: "large", sizeBytes: 5000, crc32: CRC32(of: contents).value)
        var assembler = ZipPartAssembler(partSizeBytes: 1000)
        try assembler.beginMember(member)
        try assembler.write(contents)
        let first = assembler.takePart()
        #expect(first?.number == 1)
        _ = try assembler.endMember()

        member.crc32 = 1
        try assembler.beginMember(member)
        try assembler.write(contents)
        #expect { try assembler.endMember() } throws: { ($0 as? ZipError)?.code == .checksumMismatch }
        let voidPart = assembler.discardMember()
        #expect(voidPart == 6)
        #expect { try assembler.add(member, contents: contents) } throws: {
            ($0 as? ZipError)?.code == .checksumMismatch
        }
        let summary = try assembler.finish()
        #expect(summary.memberCount == 1)
    }

    @Test func membersOfAnotherSizeAreRefused() throws {
        var assembler = ZipPartAssembler(partSizeBytes: 1000)
        let member = ZipMember(name: "x", sizeBytes: 10)
        for (size, code) in [(9, ZipError.Code.memberTooShort), (11, .memberTooLong)] {
            let contents = ByteBuffer(repeating: 1, count: size)
            #expect { try assembler.add(member, contents: contents) } throws: { ($0 as? ZipError)?.code == code }
            try assembler.beginMember(member)
            #expect {
                try assembler.write(contents)
                _ = try assembler.endMember()
            } throws: { ($0 as? ZipError)?.code == code }
            _ = assembler.discardMember()
        }
        #expect { try assembler.beginMember(ZipMember(name: "", sizeBytes: 0)) } throws: {
            ($0 as? ZipError)?.code == .invalidName
        }
        let summary = try assembler.finish()
        #expect(summary.sizeBytes == 22)
    }

    @Test func moreThanTheAllowedPartsAreRefused() throws {
        var assembler = ZipPartAssembler(partSizeBytes: 100, maximumPartCount: 3)
        try assembler.beginMember(ZipMember(name: "x", sizeBytes: 1000))
        #expect { try assembler.write(ByteBuffer(repeating: 1, count: 1000)) } throws: {
            ($0 as? ZipError)?.code == .tooManyParts
        }
        // The member can still be left out.
        _ = assembler.discardMember()
        let summary = try assembler.finish()
        #expect(summary.memberCount == 0)
    }

    @Test func smallChunksAreGatheredAndLargeOnesPassedOn() throws {
        var assembler = ZipPartAssembler(partSizeBytes: 1 << 20)
        var collector = PartCollector()
        try assembler.beginMember(ZipMember(name: "drops", sizeBytes: 500_000))
        for _ in 0..<50_000 { try assembler.write(ByteBuffer(repeating: 1, count: 10)) }
        _ = try assembler.endMember()
        // A sliver of a large buffer must not keep all of it alive.
        let large = ByteBuffer(repeating: 2, count: 300_000)
        try assembler.add(
            ZipMember(name: "sliver", sizeBytes: 20_000), contents: large.getSlice(at: 0, length: 20_000) ?? large)
        try assembler.add(ZipMember(name: "large", sizeBytes: 300_000), contents: large)
        _ = try assembler.finish()
        let taken = assembler.takePart()
        let part = try #require(taken)
        #expect(part.body.reduce(0) { $0 + $1.storageCapacity } < 2 * part.sizeBytes)
        #expect(part.body.count < 20)
        #expect(part.body.contains { $0.readableBytes == 300_000 })
        assembler = ZipPartAssembler(partSizeBytes: 1 << 20)
        _ = try assembler.finish()
        collector.drain(&assembler)
        #expect(collector.largestPieceCount == 1)
    }
}
