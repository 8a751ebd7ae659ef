import Checksum
import Foundation
import NIOCore
import TestSupport
import Testing

@testable import ZipArchive

/// What other people's readers make of our archives.
@Suite struct ZipReadersTests {
    @Test func everyReaderSeesTheSameMembers() async throws {
        var random = SeededGenerator(seed: 7)
        var names = ZipNames()
        var assembler = ZipPartAssembler(partSizeBytes: 50_000)
        var collector = PartCollector()
        var members: [(name: String, contents: ByteBuffer)] = []
        let time = DOSDateTime(year: 2026, month: 2, day: 28, hour: 23, minute: 59, second: 58)
        let raw = ["a.bin", "A.BIN", "empty", "Übung ✓ 日本.txt", "folder/deep/x.log", "../y", "c:\\z", "spaces in it"]
        for (index, rawName) in raw.enumerated() {
            let name = names.assign(rawName)
            let contents = index == 2 ? ByteBuffer() : index % 2 == 0 ? random.bytes(90_000) : random.text(70_000)
            var member = ZipMember(name: name, sizeBytes: Int64(contents.readableBytes), modifiedAt: time)
            switch index % 3 {
            case 0:
                try assembler.beginMember(member)
                try assembler.write(contents)
                _ = try assembler.endMember()
            case 1: try assembler.add(member, contents: contents, deflateLevel: 9)
            default:
                member.crc32 = CRC32(of: contents).value
                try assembler.beginMember(member)
                try assembler.write(contents)
                _ = try assembler.endMember()
            }
            members.append((name, contents))
            collector.drain(&assembler)
        }
        let summary = try assembler.finish()
        collector.drain(&assembler)
        try await ArchiveCheck.verify(collector.archive(summary, partSizeBytes: 50_000), members)
    }

    @Test func moreThan65534MembersCanBeRead() async throws {
        var assembler = ZipPartAssembler(partSizeBytes: 1 << 20)
        var collector = PartCollector()
        for index in 0..<65_600 {
            try assembler.add(
                ZipMember(name: "\(index)", sizeBytes: 2),
                contents: ByteBuffer(integer: UInt16(truncatingIfNeeded: index)))
            collector.drain(&assembler)
        }
        let summary = try assembler.finish()
        collector.drain(&assembler)
        let folder = try ArchiveCheck.temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("many.zip").path
        try Data(collector.archive(summary, partSizeBytes: 1 << 20).readableBytesView)
            .write(to: URL(fileURLWithPath: path))
        try await ArchiveCheck.run(["unzip", "-tqq", path])
        try await ArchiveCheck.run(["7z", "t", "-bd", path])
        let output = try await ArchiveCheck.python([
            "-c",
            """
            import sys, zipfile
            archive = zipfile.ZipFile(sys.argv[1])
            names = archive.namelist()
            assert names == [str(i) for i in range(65600)], len(names)
            assert archive.testzip() is None
            print("ok")
            """, path,
        ])
        #expect(output == "ok\n")
    }

    @Test func aMemberAndAnOffsetBeyondFourGibibytesCanBeRead() async throws {
        // Zeros, so that the file can be sparse: only parts that hold something else are written.
        let size: Int64 = 4 << 30 + 12_345
        let zeros = ByteBuffer(repeating: 0, count: 8 << 20)
        var assembler = ZipPartAssembler(partSizeBytes: 8 << 20)
        let folder = try ArchiveCheck.temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("large.zip").path
        try Data().write(to: URL(fileURLWithPath: path))
        let file = try #require(FileHandle(forWritingAtPath: path))
        defer { try? file.close() }
        func drain() throws {
            while let part = assembler.takePart() {
                var offset = UInt64(part.number - 1) * 8 << 20
                for piece in part.body {
                    if piece.readableBytes < 1 << 20 {
                        try file.seek(toOffset: offset)
                        try file.write(contentsOf: Data(piece.readableBytesView))
                    }
                    offset += UInt64(piece.readableBytes)
                }
            }
        }
        try assembler.beginMember(ZipMember(name: "zeros", sizeBytes: size))
        while assembler.memberBytes < size {
            let count = Int(min(Int64(zeros.readableBytes), size - assembler.memberBytes))
            try assembler.write(zeros.getSlice(at: 0, length: count) ?? zeros)
            try drain()
        }
        let checksum = try assembler.endMember()
        let text = ByteBuffer(string: "behind four gibibytes")
        try assembler.add(ZipMember(name: "after", sizeBytes: Int64(text.readableBytes)), contents: text)
        let summary = try assembler.finish()
        try drain()
        try file.synchronize()
        let output = try await ArchiveCheck.python([
            "-c",
            """
            import os, sys, zipfile
            path, size, crc, total = sys.argv[1:]
            assert os.path.getsize(path) == int(total)
            archive = zipfile.ZipFile(path)
            zeros, after = archive.infolist()
            assert (zeros.file_size, zeros.compress_size, zeros.CRC) == (int(size), int(size), int(crc)), zeros
            assert archive.open(zeros).read(1 << 20) == bytes(1 << 20)
            assert after.header_offset > 1 << 32
            assert archive.read(after) == b"behind four gibibytes"
            print("ok")
            """, path, "\(size)", "\(checksum)", "\(summary.sizeBytes)",
        ])
        #expect(output == "ok\n")
        let listing = try await ArchiveCheck.run(["unzip", "-l", path])
        #expect(listing.contains("\(size)"))
    }
}
