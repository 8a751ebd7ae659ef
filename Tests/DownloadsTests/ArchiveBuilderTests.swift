import Checksum
import FunctionKit
import NIOCore
import Synchronization
import Testing
import ZipArchive

@testable import Downloads

/// Archives of a store that works.
@Suite struct ArchiveBuilderTests {
    @Test func aSmallArchiveIsWrittenInOneRequest() async throws {
        var fixture = ArchiveFixture()
        fixture.add(70_001, ArchiveFixture.bytes(5000, seed: 1))
        fixture.add(70_000, ByteBuffer())
        fixture.add(70_002, ByteBuffer(string: "text"), checksum: true)
        let events = ArchiveEvents()
        let result = try await fixture.verify(events.callbacks)
        #expect(result.key == "archives/job/1-1.zip")
        #expect(fixture.store.state.withLock { $0.begun } == 0)
        #expect(result.files.map(\.fileID) == [70_001, 70_000, 70_002])
        #expect(result.files.map(\.sizeBytes) == [5000, 0, 4])
        #expect(result.files[2].crc32 == CRC32(of: ByteBuffer(string: "text")).value)
        let archive = try #require(fixture.store.contents(result.key))
        #expect(result.crc32 == CRC32(of: archive).value)
        events.seen.withLock { seen in
            #expect(seen.planned == [5004])
            #expect(seen.uploads.isEmpty)
            #expect(seen.files == result.files)
        }
    }

    @Test func aLargeArchiveIsUploadedInParts() async throws {
        var fixture = ArchiveFixture()
        for id in 0..<12 as Range<Int64> {
            let large = id % 3 == 0
            fixture.add(
                id, ArchiveFixture.bytes(large ? 350_000 : 7000, seed: UInt64(id)), checksum: id % 2 == 0)
        }
        let events = ArchiveEvents()
        let result = try await fixture.verify(events.callbacks)
        let archive = try #require(fixture.store.contents(result.key))
        #expect(result.crc32 == CRC32(of: archive).value)
        fixture.store.state.withLock { state in
            #expect(state.begun == 1)
            #expect(state.partOrder.sorted() == Array(1...(archive.readableBytes + 99_999) / 100_000))
            #expect(state.mostSending > 1 && state.mostSending <= 3)
            #expect(state.mostReading <= 5)
        }
        events.seen.withLock { seen in
            #expect(seen.uploads == ["upload-1"])
            #expect(seen.progress == seen.progress.sorted())
            #expect(seen.progress.last.map { $0 <= 4 * 350_000 + 8 * 7000 } == true)
            #expect(seen.progress.count > 10)
            #expect(seen.files.map(\.fileID) == Array(0..<12))
        }
    }

    @Test func aThousandSmallFilesKeepTheirOrder() async throws {
        var fixture = ArchiveFixture()
        for id in 0..<1000 as Range<Int64> {
            fixture.add(999 - id, ByteBuffer(string: "file \(id)"))
            // Some come late.
            if id % 97 == 0 { fixture.store.fail(ArchiveFixture.key(999 - id), .slow(.milliseconds(2)), .none) }
        }
        let result = try await fixture.verify()
        #expect(result.files.count == 1000)
        #expect(fixture.store.state.withLock { $0.mostReading } <= 5)
    }

    @Test func equalNamesAreTold() async throws {
        var fixture = ArchiveFixture()
        fixture.add(1, ByteBuffer(string: "a"))
        fixture.add(2, ByteBuffer(string: "b"))
        fixture.request.sources[1].name = "1.BIN"
        let result = try await fixture.build()
        #expect(result.files.map(\.name) == ["1.bin", "1 (2).BIN"])
    }

    @Test func smallFilesAreCompressedWhereThePolicySaysSo() async throws {
        var fixture = ArchiveFixture()
        fixture.policy.deflateLevel = 6
        fixture.add(1, ByteBuffer(repeating: 65, count: 15_000))
        fixture.add(2, ArchiveFixture.bytes(15_000, seed: 1))
        fixture.add(3, ByteBuffer(repeating: 65, count: 40_000))
        let result = try await fixture.verify()
        #expect((55_000..<56_000).contains(result.sizeBytes))
    }

    @Test func partsGrowWithTheArchive() {
        var policy = ArchivePolicy()
        #expect(policy.partSizeBytes(forArchiveOf: 0) == 8 << 20)
        #expect(policy.partSizeBytes(forArchiveOf: 9000 * 8 << 20 - 1) == 8 << 20)
        #expect(policy.partSizeBytes(forArchiveOf: 9000 * 8 << 20) == 9 << 20)
        #expect(policy.partSizeBytes(forArchiveOf: 100 << 30) == 12 << 20)
        #expect(policy.partSizeBytes(forArchiveOf: 1 << 40) == nil)
        policy.maximumPartSizeBytes = 5 << 30
        #expect(policy.partSizeBytes(forArchiveOf: 5 << 40) == 583 << 20)
    }

    @Test func anArchiveThatIsTooLargeIsRefusedAtOnce() async throws {
        var fixture = ArchiveFixture()
        fixture.policy.partSizeBytes = 1
        fixture.policy.maximumPartSizeBytes = 1
        fixture.add(1, ArchiveFixture.bytes(100_000, seed: 1))
        let error = try await #require(throws: Permanent.self) { try await fixture.build() }
        #expect(error.errorClass == .validation)
        fixture.expectNothingLeft()
    }

    @Test func backoffDoublesUpToItsBound() {
        let policy = ArchivePolicy()
        #expect([1, 2, 3, 6, 100].map { policy.backoff(afterFailures: $0) } == [1, 2, 4, 30, 30].map { .seconds($0) })
    }
}
