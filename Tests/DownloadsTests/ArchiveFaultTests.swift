import Checksum
import FunctionKit
import NIOCore
import Synchronization
import Testing
import ZipArchive

@testable import Downloads

/// Archives of a store that does not work: never a wrong one, and nothing left behind.
@Suite struct ArchiveFaultTests {
    private func contents(_ seed: UInt64) -> ByteBuffer { ArchiveFixture.bytes(450_000, seed: seed) }

    /// Three large files, the second with these faults.
    private func fixture(
        checksum: Bool = false, tag: Bool = true, _ faults: ArchiveFaultyStore.ReadFault...
    ) -> ArchiveFixture {
        var fixture = ArchiveFixture()
        fixture.add(1, contents(1), checksum: checksum)
        fixture.add(2, contents(2), checksum: checksum, tag: tag)
        fixture.add(3, contents(3), checksum: checksum)
        fixture.store.state.withLock { $0.readFaults[ArchiveFixture.key(2)] = faults }
        return fixture
    }

    private func ranges(_ fixture: ArchiveFixture) -> [Range<Int64>?] {
        fixture.store.state.withLock { $0.reads.filter { $0.key == ArchiveFixture.key(2) }.map(\.range) }
    }

    // MARK: Missing

    @Test func aMissingFileIsLeftOutAndListed() async throws {
        var fixture = ArchiveFixture()
        fixture.add(1, ByteBuffer(string: "one"))
        fixture.add(2, nil)
        fixture.expectManifest(
            #"{"files":[{"id":1,"name":"1.bin","size":3,"crc32":"7a6c86f1","status":"completed","error":null},"#
                + #"{"id":2,"name":"2.bin","size":null,"crc32":null,"status":"failed","#
                + #""error":"The file does not exist."}]}"#)
        let result = try await fixture.verify()
        #expect(result.files.map(\.status) == [.completed, .failed])
        #expect(result.files[1].errorClass == .validation)
    }

    @Test func aMissingFileFailsTheJobWhereAllAreWanted() async throws {
        var fixture = ArchiveFixture()
        fixture.request.onMissing = .fail
        fixture.add(1, contents(1))
        fixture.add(2, nil)
        let error = try await #require(throws: Permanent.self) { try await fixture.build() }
        #expect(error.errorClass == .validation)
        #expect(error.message == "1 of 2 files could not be had. 2: The file does not exist.")
        #expect(fixture.store.state.withLock { $0.begun == 0 && $0.reads.isEmpty })
        fixture.expectNothingLeft()
    }

    @Test(arguments: [MissingFilePolicy.skip, .fail])
    func withoutAnyFileThereIsNoArchive(policy: MissingFilePolicy) async throws {
        var fixture = ArchiveFixture()
        fixture.request.onMissing = policy
        for id in 1...30 as ClosedRange<Int64> { fixture.add(id, nil) }
        let error = try await #require(throws: Permanent.self) { try await fixture.build() }
        #expect(error.errorClass == .validation)
        #expect(error.message.hasPrefix("30 of 30 files could not be had. 1: The file does not exist. 2: "))
        #expect(error.message.hasSuffix(" …"))
        fixture.expectNothingLeft()
    }

    @Test(arguments: [MissingFilePolicy.skip, .fail])
    func filesThatSinkTheArchiveAreToldOf(policy: MissingFilePolicy) async throws {
        var fixture = ArchiveFixture()
        fixture.request.onMissing = policy
        if policy == .fail { fixture.add(1, contents(1)) }
        fixture.add(2, nil)
        fixture.add(3, nil)
        let told = Mutex<[ArchivedFile]>([])
        let callbacks = ArchiveCallbacks(onFileFinished: { file in told.withLock { $0.append(file) } })
        await #expect(throws: Permanent.self) { try await fixture.build(callbacks) }
        #expect(told.withLock { $0.map(\.fileID) } == [2, 3])
        #expect(told.withLock { $0.allSatisfy { $0.status == .failed && $0.error != nil } })
        #expect(told.withLock { $0.map(\.position) } == (policy == .fail ? [1, 2] : [0, 1]))
    }

    @Test func whatCanNeverBeReadIsLeftOutAtOnce() async throws {
        var fixture = ArchiveFixture()
        fixture.add(1, contents(1))
        fixture.add(2, contents(2))
        fixture.store.state.withLock {
            _ = $0.headFailures.insert(ArchiveFixture.key(2))
            $0.headFailureClass = .validation
        }
        let result = try await fixture.build()
        #expect(result.files.map(\.status) == [.completed, .failed])
    }

    @Test func aFileThatVanishesMidwayIsMissing() async throws {
        var fixture = fixture(.cut(after: 300_000), .vanish)
        let result = try await fixture.build()
        #expect(result.files.map(\.status) == [.completed, .failed, .completed])
        fixture.request.onMissing = .fail
        fixture.request.key = "archives/other"
        fixture.store.fail(ArchiveFixture.key(2), .cut(after: 300_000), .vanish)
        let error = try await #require(throws: Permanent.self) { try await fixture.build() }
        #expect(error.errorClass == .validation)
        #expect(fixture.store.contents("archives/other") == nil)
    }

    // MARK: Broken transfers

    @Test func aTransferThatBreaksOffGoesOnWhereItStopped() async throws {
        let fixture = fixture(.cut(after: 123_456), .cut(after: 0), .none)
        try await fixture.verify()
        #expect(ranges(fixture) == [nil, 123_456..<450_000, 123_456..<450_000])
    }

    @Test func aBodyThatEndsEarlyWithoutAWordGoesOnToo() async throws {
        let fixture = fixture(.endEarly(after: 200_001), .none)
        try await fixture.verify()
        #expect(ranges(fixture) == [nil, 200_001..<450_000])
    }

    @Test func aBreakAfterTheLastByteNeedsNoFurtherRead() async throws {
        let fixture = fixture(.cut(after: 450_000), .none)
        try await fixture.verify()
        #expect(ranges(fixture) == [nil])
    }

    @Test func withoutAnEntityTagTheFileIsBegunAgain() async throws {
        let fixture = fixture(tag: false, .cut(after: 321_000), .none)
        try await fixture.verify()
        #expect(ranges(fixture) == [nil, nil])
    }

    @Test(arguments: [true, false])
    func aFileReplacedMidwayIsBegunAgain(checksum: Bool) async throws {
        let other = ArchiveFixture.bytes(380_000, seed: 9)
        var fixture = fixture(checksum: checksum, .cut(after: 300_000), .replace(with: other), .none)
        fixture.expect(2, other)
        let result = try await fixture.verify()
        #expect(ranges(fixture) == [nil, 300_000..<450_000, nil])
        #expect(result.files[1].sizeBytes == 380_000)
        // The parts that the first try had touched were sent again.
        let order = fixture.store.state.withLock { $0.partOrder }
        #expect(Set(order).count < order.count)
    }

    @Test(arguments: [true, false])
    func aFileReplacedBeforeItsTurnIsTakenAsItIs(small: Bool) async throws {
        var fixture = ArchiveFixture()
        if small { fixture.policy.fetchWholeBytes = 1 << 20 }
        fixture.add(1, contents(1))
        fixture.add(2, contents(2))
        let other = ArchiveFixture.bytes(12_345, seed: 9)
        fixture.store.fail(ArchiveFixture.key(2), .replace(with: other), .none)
        fixture.expect(2, other)
        try await fixture.verify()
    }

    @Test func damagedBytesAreFetchedAgain() async throws {
        let fixture = fixture(checksum: true, .corrupt(at: 444_444), .none)
        try await fixture.verify()
        #expect(ranges(fixture) == [nil, nil])
        var whole = ArchiveFixture()
        whole.add(1, ArchiveFixture.bytes(5000, seed: 1), checksum: true)
        whole.store.fail(ArchiveFixture.key(1), .corrupt(at: 77), .none)
        try await whole.verify()
    }

    @Test func moreBytesThanAnnouncedAreNotTaken() async throws {
        let fixture = fixture(.overrun, .none)
        try await fixture.verify()
    }

    @Test(arguments: [
        (ArchiveFaultyStore.ReadFault.cut(after: 99), ErrorClass.network), (.endEarly(after: 99), .storage),
        (.corrupt(at: 99), .storage), (.refuse, .storage), (.overrun, .storage),
    ])
    func aFileThatFailsForGoodEndsTheAttemptButTheLast(
        fault: ArchiveFaultyStore.ReadFault, errorClass: ErrorClass
    ) async throws {
        var fixture = fixture(checksum: true, fault)
        let error = try await #require(throws: ArchiveError.self) { try await fixture.build() }
        #expect(error.errorClass == errorClass)
        #expect(ranges(fixture).count == (fault.isRefusal ? 1 : 3))
        fixture.expectNothingLeft()
        #expect(fixture.store.state.withLock { $0.aborted } == 1)

        fixture.request.isLastAttempt = true
        fixture.request.onMissing = .fail
        let told = Mutex<[ArchivedFile]>([])
        let callbacks = ArchiveCallbacks(onFileFinished: { file in told.withLock { $0.append(file) } })
        let last = try await #require(throws: Permanent.self) { try await fixture.build(callbacks) }
        #expect(last.errorClass == errorClass)
        #expect(last.message.hasPrefix("2: "))
        // The one that sank the archive is told of as well.
        #expect(told.withLock { $0.map(\.status) } == [.completed, .failed])
        fixture.expectNothingLeft()

        fixture.request.onMissing = .skip
        let result = try await fixture.build()
        #expect(result.files.map(\.status) == [.completed, .failed, .completed])
        #expect(result.files[1].errorClass == errorClass)
        fixture.expectWithout(2)
        let archive = try #require(fixture.store.contents(result.key))
        fixture.expectManifest(
            String(buffer: ArchiveManifest.contents(result.files)))
        try await ArchiveReaders.verify(archive, fixture.members)
    }

    @Test func aSlowFileTimesOut() async throws {
        var fixture = fixture(.slow(.milliseconds(5)))
        fixture.policy.fileTimeout = .milliseconds(20)
        fixture.policy.minimumBytesPerSecond = 45_000_000
        let error = try await #require(throws: ArchiveError.self) { try await fixture.build() }
        #expect(error.code == .fileTooSlow)
        #expect(error.errorClass == .timeout)
        fixture.expectNothingLeft()
    }

    // MARK: The store's side

    @Test func aStoreThatCannotBeAskedFailsTheAttempt() async throws {
        var fixture = fixture()
        fixture.store.state.withLock { _ = $0.headFailures.insert(ArchiveFixture.key(2)) }
        await #expect(throws: ArchiveFaultyStore.Failure.self) { try await fixture.build() }
        fixture.expectNothingLeft()
        fixture.request.isLastAttempt = true
        let result = try await fixture.build()
        #expect(result.files[1].error == "The file could not be read (storage_error).")
    }

    @Test func aPartThatCannotBeSentFailsTheAttempt() async throws {
        let fixture = fixture()
        fixture.store.state.withLock { $0.partFailures[5] = 1 }
        let error = await #expect(throws: ArchiveFaultyStore.Failure.self) { try await fixture.build() }
        #expect(error.map { ErrorClass(of: $0) } == .storage)
        fixture.expectNothingLeft()
        #expect(fixture.store.state.withLock { $0.aborted } == 1)
    }

    @Test func anUploadThatCannotBeCompletedIsAborted() async throws {
        let fixture = fixture()
        fixture.store.state.withLock { $0.completeFails = true }
        await #expect(throws: ArchiveFaultyStore.Failure.self) { try await fixture.build() }
        fixture.expectNothingLeft()
    }

    @Test func anArchiveThatTheStoreDoesNotHoldIsNoResult() async throws {
        let fixture = fixture()
        fixture.store.state.withLock { $0.completeLoses = true }
        let error = try await #require(throws: ArchiveError.self) { try await fixture.build() }
        #expect(error.code == .archiveNotStored)
        fixture.expectNothingLeft()
        var small = ArchiveFixture()
        small.add(1, ByteBuffer(string: "x"))
        small.store.state.withLock { $0.writeFails = true }
        await #expect(throws: ArchiveFaultyStore.Failure.self) { try await small.build() }
        small.expectNothingLeft()
    }

    @Test func aCallbackThatThrowsEndsTheAttempt() async throws {
        struct LockLost: Error {}
        for number in 0..<4 {
            let fixture = fixture()
            var callbacks = ArchiveCallbacks()
            switch number {
            case 0: callbacks.onPlanned = { _ in throw LockLost() }
            case 1: callbacks.onUploadBegun = { _ in throw LockLost() }
            case 2: callbacks.onFileFinished = { if $0.fileID == 2 { throw LockLost() } }
            default: callbacks.onProgress = { if $0 > 600_000 { throw LockLost() } }
            }
            await #expect(throws: LockLost.self) { try await fixture.build(callbacks) }
            fixture.expectNothingLeft()
        }
    }

    @Test(arguments: [0, 5000, 330_000])
    func cancellationLeavesNothingBehind(stallAfter: Int) async throws {
        let fixture = fixture(.stall(after: stallAfter))
        let (reached, arrival) = AsyncStream<Void>.makeStream()
        // Ended below.
        let task = Task {
            try await fixture.build(
                ArchiveCallbacks(
                    onFileFinished: { if $0.fileID == 1 && stallAfter == 0 { arrival.yield() } },
                    onProgress: { if $0 >= 450_000 + Int64(stallAfter) && stallAfter > 0 { arrival.yield() } }))
        }
        for await _ in reached { break }
        task.cancel()
        await #expect(throws: (any Error).self) { try await task.value }
        fixture.expectNothingLeft()
        #expect(fixture.store.state.withLock { $0.aborted } == 1)
    }

    // MARK: Everything at once

    @Test(arguments: 0..<40 as Range<UInt64>)
    func faultsDoNotShowInTheArchive(seed: UInt64) async throws {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var faulty = ArchiveFixture()
        var clean = ArchiveFixture()
        faulty.policy.partSizeBytes = 1000 + random(60_000)
        clean.policy.partSizeBytes = 1 << 30
        faulty.policy.concurrentUploadCount = 1 + random(4)
        faulty.policy.fetchAheadCount = 1 + random(5)
        for id in 0..<Int64(1 + random(12)) {
            let size = random(2) == 0 ? random(3000) : random(120_000)
            let contents = ArchiveFixture.bytes(size, seed: seed &+ UInt64(id))
            let checksum = random(2) == 0
            let faults: [ArchiveFaultyStore.ReadFault] = (0..<random(3)).map { _ in
                switch random(checksum ? 6 : 5) {
                case 0: .cut(after: random(size + 1))
                case 1: .endEarly(after: random(size + 1))
                case 2: .overrun
                case 3: .replace(with: contents)
                case 4: .slow(.microseconds(10))
                default: size > 0 ? .corrupt(at: random(size)) : .none
                }
            }
            faulty.add(id, contents, checksum: checksum, tag: random(4) > 0)
            clean.add(id, contents)
            if !faults.isEmpty {
                faulty.store.state.withLock { $0.readFaults[ArchiveFixture.key(id)] = faults + [.none] }
            }
        }
        clean.policy.maximumPartSizeBytes = 1 << 30
        let faultyResult = try await faulty.build()
        let cleanResult = try await clean.build()
        #expect(faultyResult.files.map(\.crc32) == cleanResult.files.map(\.crc32))
        let archive = try #require(faulty.store.contents(faultyResult.key))
        #expect(faultyResult.crc32 == CRC32(of: archive).value)
        #expect(faulty.store.state.withLock { $0.uploads.isEmpty })
        try await ArchiveReaders.verify(archive, faulty.members)
    }
}

extension ArchiveFaultyStore.ReadFault {
    fileprivate var isRefusal: Bool {
        if case .refuse = self { true } else { false }
    }
}
