import Checksum
import FunctionKit
import ObjectStorage
import Testing

@testable import Emulator

@Suite struct S3UploadsTests {
    let folder: TemporaryFolder
    let store: S3FileStore
    let key: ObjectKey
    let minimum = Int(S3FileStore.minimumPartBytes)

    init() throws {
        key = try #require(ObjectKey("archives/a b\n.zip"))
        folder = try TemporaryFolder()
        store = try S3FileStore(folder: folder.path)
        try store.createBucket("bucket")
    }

    private func put(_ bytes: [UInt8], _ upload: S3FileStore.Upload, _ number: Int) throws -> S3FileStore.NamedPart {
        let staged = try store.stage()
        try bytes.withUnsafeBytes { try staged.append($0) }
        let digests = staged.finish()
        try store.putPart(staged, digests, to: "bucket", upload, number: number)
        return S3FileStore.NamedPart(number: number, etag: digests.etag)
    }

    private func begin() throws -> S3FileStore.Upload {
        try store.beginUpload("bucket", key, fields: [.init(name: "content-type", value: "application/zip")])
    }

    @Test func partsBecomeOneObject() throws {
        let upload = try begin()
        #expect(try store.upload("bucket", key, id: upload.id) == upload)
        let second = try put([9, 9, 9], upload, 7)
        _ = try put([1], upload, 2)
        let first = try put([UInt8](repeating: 5, count: minimum), upload, 2)
        _ = try put([4], upload, 9)
        #expect(try store.parts("bucket", upload).map(\.number) == [2, 7, 9])
        let parts = try store.check([first, second], of: "bucket", upload)
        let metadata = try store.complete(parts, of: "bucket", upload)

        let bytes = [UInt8](repeating: 5, count: minimum) + [9, 9, 9]
        var crc32 = CRC32()
        bytes.withUnsafeBytes { crc32.update($0) }
        #expect(metadata.crc32 == crc32.value)
        #expect(metadata.etag.hasSuffix("-2"))
        #expect(try store.read("bucket", key.text) == bytes)
        #expect(try store.open("bucket", key)?.metadata.field("content-type") == "application/zip")
        #expect(try store.uploads("bucket").isEmpty)
        #expect(folder.files(below: "buckets/bucket/uploads").isEmpty)
        #expect(folder.files(below: "tmp").isEmpty)
        #expect(throws: S3Fault.noSuchUpload) { try put([1], upload, 1) }
    }

    @Test func aListThatDoesNotFitThePartsIsRefused() throws {
        let upload = try begin()
        let small = try put([1], upload, 1)
        let big = try put([UInt8](repeating: 5, count: minimum), upload, 2)
        let last = try put([3], upload, 3)
        func check(_ parts: [S3FileStore.NamedPart], _ expected: S3Fault) {
            #expect(throws: expected) { try store.check(parts, of: "bucket", upload) }
        }
        check([], .malformedXML)
        check([last, big], .invalidPartOrder)
        check([big, big], .invalidPartOrder)
        check([small, big], .entityTooSmall)
        check([.init(number: 4, etag: "x")], .invalidPart)
        check([.init(number: 2, etag: small.etag)], .invalidPart)
        check([.init(number: 2, etag: big.etag, crc32: 1)], .invalidPart)
        #expect(try store.check([big, last], of: "bucket", upload).count == 2)
        let checked = try store.check([big], of: "bucket", upload)
        #expect(throws: S3Fault.badDigest) {
            try store.complete(checked, of: "bucket", upload, expectedCRC32: 1)
        }
        #expect(try store.parts("bucket", upload).count == 3)
    }

    @Test func anAbortedUploadIsGone() throws {
        let upload = try begin()
        _ = try put([1], upload, 1)
        #expect(throws: S3Fault.noSuchUpload) { try store.upload("bucket", ObjectKey("other")!, id: upload.id) }
        #expect(throws: S3Fault.noSuchUpload) { try store.upload("bucket", key, id: "../" + upload.id) }
        try store.abort("bucket", upload)
        #expect(throws: S3Fault.noSuchUpload) { try store.upload("bucket", key, id: upload.id) }
        #expect(folder.files(below: "buckets/bucket/uploads").isEmpty)
    }

    @Test func uploadsArePagedInTheOrderOfTheirKeys() throws {
        var all: [S3FileStore.Upload] = []
        for name in ["b", "a/1", "a/2", "a/1", "c"] {
            all.append(try store.beginUpload("bucket", ObjectKey(name)!, fields: []))
        }
        let listed = try store.uploads("bucket")
        #expect(listed.map(\.key.text) == ["a/1", "a/1", "a/2", "b", "c"])
        var ids: [String] = []
        var marker = (key: "", id: "")
        while true {
            let page = UploadPage(
                listed, prefix: "", delimiter: "", keyMarker: marker.key, idMarker: marker.id, limit: 2)
            ids += page.uploads.map(\.id)
            guard page.isTruncated, let last = page.last else { break }
            marker = last
        }
        #expect(ids == listed.map(\.id))
        let rolled = UploadPage(listed, prefix: "", delimiter: "/", keyMarker: "", idMarker: "", limit: 10)
        #expect(rolled.prefixes == ["a/"])
        #expect(rolled.uploads.map(\.key.text) == ["b", "c"])
        let next = UploadPage(listed, prefix: "", delimiter: "/", keyMarker: "a/", idMarker: "", limit: 10)
        #expect(next.uploads.map(\.key.text) == ["b", "c"] && next.prefixes.isEmpty)
    }
}
