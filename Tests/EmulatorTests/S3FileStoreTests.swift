import Foundation
import FunctionKit
import Testing

@testable import Emulator

@Suite struct S3FileStoreTests {
    let folder: TemporaryFolder
    let store: S3FileStore

    init() throws {
        folder = try TemporaryFolder()
        store = try S3FileStore(folder: folder.path)
        try store.createBucket("bucket")
    }

    private var objects: String { folder.path + "/buckets/bucket/objects" }
    private var metadataCount: Int {
        folder.files(below: "buckets/bucket/metadata").filter { $0.contains("%m") }.count
    }

    @Test func anObjectIsAFileThatAPersonFinds() throws {
        let etag = try store.write(Array("hello".utf8), to: "bucket", "downloads/70000.zip", contentType: "a/b")
        #expect(etag == "5d41402abc4b2a76b9719d911017c592")
        #expect(try String(contentsOfFile: objects + "/downloads/70000.zip", encoding: .utf8) == "hello")
        let object = try #require(try store.open("bucket", ObjectKey("downloads/70000.zip")!))
        #expect(object.metadata.crc32 == 0x3610_A686)
        #expect(object.metadata.field("content-type") == "a/b")
        #expect(object.sizeBytes == 5)
    }

    @Test func anyKeyIsWrittenReadListedAndRemoved() throws {
        for key in storedKeys { try store.write(Array(key.utf8), to: "bucket", key) }
        for key in storedKeys { #expect(try store.read("bucket", key) == Array(key.utf8), "\(key)") }
        let expected = storedKeys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        #expect(try store.keys("bucket").map { Array($0.utf8) } == expected.map { Array($0.utf8) })
        for (index, key) in storedKeys.enumerated() {
            try store.delete("bucket", ObjectKey(key)!)
            #expect(try store.read("bucket", key) == nil)
            if let next = storedKeys.dropFirst(index + 1).first {
                #expect(try store.read("bucket", next) == Array(next.utf8), "\(next)")
            }
        }
        #expect(folder.files(below: "buckets/bucket/objects").isEmpty)
        #expect(folder.files(below: "buckets/bucket/metadata").isEmpty)
        #expect(folder.files(below: "tmp").isEmpty)
    }

    @Test func nothingIsWrittenOutsideTheFolder() throws {
        let parent = try TemporaryFolder()
        let store = try S3FileStore(folder: parent.path + "/s3")
        try store.createBucket("bucket")
        for key in storedKeys { try store.write([1], to: "bucket", key) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: parent.path) == ["s3"])
        #expect(Set(try FileManager.default.contentsOfDirectory(atPath: parent.path + "/s3")) == ["buckets", "tmp"])
    }

    @Test func aFileAndAFolderOfOneNameLiveSideBySide() throws {
        try store.write([1], to: "bucket", "a")
        try store.write([2], to: "bucket", "a/b")
        #expect(try store.read("bucket", "a") == [1])
        #expect(try store.open("bucket", ObjectKey("a")!)?.metadata.crc32 != nil)
        try store.write([3], to: "bucket", "a")
        #expect(try store.read("bucket", "a") == [3])
        try store.delete("bucket", ObjectKey("a/b")!)
        #expect(try store.read("bucket", "a") == [3])
        try store.write([4], to: "bucket", "a")
        #expect(try store.read("bucket", "a") == [4])
        #expect(try store.keys("bucket") == ["a"])
        #expect(folder.files(below: "buckets/bucket/objects") == ["a"])
        try store.delete("bucket", ObjectKey("a")!)
        #expect(try store.keys("bucket") == [])
    }

    @Test func aReplacedObjectLeavesOneMetadataFile() throws {
        for count in 1...5 { try store.write([UInt8](repeating: 0, count: count), to: "bucket", "key") }
        #expect(metadataCount == 1)
        #expect(try store.read("bucket", "key")?.count == 5)
    }

    @Test func aFilePlacedByHandIsAnObject() throws {
        try FileManager.default.createDirectory(atPath: objects + "/mine", withIntermediateDirectories: true)
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: objects + "/mine/file.bin"))
        let object = try #require(try store.open("bucket", ObjectKey("mine/file.bin")!))
        #expect(object.sizeBytes == 3)
        #expect(object.metadata.crc32 == nil)
        #expect(try store.keys("bucket", prefix: "mine/") == ["mine/file.bin"])
    }

    @Test func aFileReplacedByHandIsNotDescribedByTheOldMetadata() throws {
        let etag = try store.write([1], to: "bucket", "key", contentType: "old/type")
        try Data([2]).write(to: URL(fileURLWithPath: objects + "/key"))
        let object = try #require(try store.open("bucket", ObjectKey("key")!))
        #expect(object.metadata.etag != etag)
        #expect(object.metadata.field("content-type") == nil)
    }

    @Test func metadataWithoutItsBytesChangesNothing() throws {
        // As after a kill between the metadata file and the rename.
        let etag = try store.write([1], to: "bucket", "key")
        let staged = try store.stage()
        try [UInt8]([2, 2]).withUnsafeBytes { try staged.append($0) }
        let place = S3FileStore.Place(bucketFolder: store.bucketFolder("bucket"), key: ObjectKey("key")!)
        try OpenFile(place.metadata(try staged.stamp()), flags: O_WRONLY | O_CREAT)
            .write(Array(ObjectMetadata(etag: "new", crc32: nil).text.utf8))
        #expect(try store.open("bucket", ObjectKey("key")!)?.metadata.etag == etag)
    }

    @Test func whatKilledProcessesLeftIsSwept() throws {
        let left = folder.path + "/tmp/0123"
        try Data([1]).write(to: URL(fileURLWithPath: left))
        let used = try store.stage()
        let old = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
        for path in [left, used.file.path] { #expect(utimensat(AT_FDCWD, path, old, 0) == 0) }
        try store.sweep()
        #expect(!FileManager.default.fileExists(atPath: left))
        #expect(FileManager.default.fileExists(atPath: used.file.path))
    }

    @Test func aConditionIsAskedUnderTheLock() async throws {
        let winners = try await withThrowingTaskGroup(of: Bool.self) { group in
            for index in 0..<8 {
                group.addTask { [store] in
                    let staged = try store.stage()
                    try [UInt8(index)].withUnsafeBytes { try staged.append($0) }
                    do {
                        try store.commit(staged, to: "bucket", ObjectKey("once")!, .init(etag: "x", crc32: nil)) {
                            if $0 != nil { throw S3Fault.preconditionFailed }
                        }
                        return true
                    } catch let fault as S3Fault where fault == .preconditionFailed {
                        return false
                    }
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(winners == 1)
    }

    @Test func readersNeverSeeAMixture() async throws {
        try store.write([0], to: "bucket", "folder/key", contentType: "t/1")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [store] in
                for round in 1...150 {
                    let count = round % 7 + 1
                    try store.write(
                        [UInt8](repeating: UInt8(count), count: count), to: "bucket", "folder/key",
                        contentType: "t/\(count)")
                }
            }
            for _ in 0..<2 {
                group.addTask { [store] in
                    for _ in 0..<150 {
                        let object = try #require(try store.open("bucket", ObjectKey("folder/key")!))
                        #expect(object.metadata.field("content-type") == "t/\(object.sizeBytes)")
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func listingsRollUpPageAndStartAnywhere() throws {
        let keys = ["a", "a/1", "a/2", "a/b/3", "a0", "b", "b/", "c/x/y", "d"]
        for key in keys { try store.write([1], to: "bucket", key) }
        func list(_ prefix: String, _ delimiter: String, _ after: String = "", _ limit: Int = 1000) throws -> [String] {
            try store.list("bucket", prefix: prefix, delimiter: delimiter, after: after, limit: limit)
                .items.map(\.marker)
        }
        #expect(try list("", "/") == ["a", "a/", "a0", "b", "b/", "c/", "d"])
        #expect(try list("a/", "/") == ["a/1", "a/2", "a/b/"])
        #expect(try list("a", "") == ["a", "a/1", "a/2", "a/b/3", "a0"])
        #expect(try list("", "/", "a/") == ["a0", "b", "b/", "c/", "d"])
        #expect(try list("", "", "a/2") == ["a/b/3", "a0", "b", "b/", "c/x/y", "d"])
        #expect(try list("", "x") == ["a", "a/1", "a/2", "a/b/3", "a0", "b", "b/", "c/x", "d"])
        #expect(try list("nothing", "/") == [])
        #expect(try list("", "", "zzz") == [])
        for delimiter in ["", "/"] {
            for limit in 1...4 {
                var paged: [String] = []
                while true {
                    let page = try store.list(
                        "bucket", delimiter: delimiter, after: paged.last ?? "", limit: limit)
                    paged += page.items.map(\.marker)
                    guard page.isTruncated else { break }
                    #expect(page.items.count == limit)
                }
                #expect(try paged == list("", delimiter), "limit \(limit)")
            }
        }
    }

    @Test func aBucketIsRemovedOnlyWhenEmpty() throws {
        #expect(try store.createBucket("bucket") == false)
        try store.write([1], to: "bucket", "a/b")
        #expect(throws: S3Fault.bucketNotEmpty) { try store.deleteBucket("bucket") }
        try store.delete("bucket", ObjectKey("a/b")!)
        try store.deleteBucket("bucket")
        #expect(throws: S3Fault.noSuchBucket) { try store.keys("bucket") }
        #expect(try store.buckets().isEmpty)
        #expect(folder.files(below: "tmp").isEmpty)
    }

    @Test(arguments: [true, false], [true, false])
    func localFilesAreImported(_ isLinked: Bool, _ hasChecksums: Bool) throws {
        let source = folder.path + "/source"
        try Data("hello".utf8).write(to: URL(fileURLWithPath: source))
        for _ in 0..<2 {
            try store.importFile(
                at: source, bucket: "bucket", key: "k/f", isLinked: isLinked, hasChecksums: hasChecksums)
        }
        let object = try #require(try store.open("bucket", ObjectKey("k/f")!))
        #expect(try store.read("bucket", "k/f") == Array("hello".utf8))
        #expect(object.metadata.crc32 == (hasChecksums ? 0x3610_A686 : nil))
        #expect(object.metadata.field("content-type") == "application/octet-stream")
        #expect(folder.files(below: "tmp").isEmpty)
        #expect(metadataCount == 1)
    }

    @Test func aHugeSparseFileIsImportedAtOnce() throws {
        let source = folder.path + "/sparse"
        #expect(FileManager.default.createFile(atPath: source, contents: nil))
        #expect(truncate(source, 8 << 30) == 0)
        try store.importFile(at: source, bucket: "bucket", key: "big", isLinked: true, hasChecksums: false)
        let object = try #require(try store.open("bucket", ObjectKey("big")!))
        #expect(object.sizeBytes == 8 << 30)
        #expect(try object.file.status().st_blocks == 0)
    }

    @Test func theSamplesAreZIPFiles() throws {
        let keys = try SampleFiles.install(in: store, bucket: "bucket")
        #expect(keys == ["downloads/70000.zip", "downloads/70001.zip", "downloads/70002.zip"])
        let modified = try store.open("bucket", ObjectKey(keys[0])!)?.modifiedAt
        try SampleFiles.install(in: store, bucket: "bucket")
        #expect(try store.open("bucket", ObjectKey(keys[0])!)?.modifiedAt == modified)
        for key in keys {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["unzip", "-tqq", "\(objects)/\(key)"]
            try process.run()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
        }
    }
}
