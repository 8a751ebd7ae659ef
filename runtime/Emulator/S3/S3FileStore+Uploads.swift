internal import Checksum
internal import FunctionKit
internal import Glibc
internal import ObjectStorage

extension S3FileStore {
    /// A multipart upload under way.
    struct Upload: Sendable, Equatable {
        let id: String
        let key: ObjectKey
        let initiatedAt: Timestamp
        /// Header fields of the object to be.
        let fields: [ObjectMetadata.Field]
    }

    struct Part: Sendable, Equatable {
        let number: Int
        let sizeBytes: Int64
        let modifiedAt: Timestamp
        let etag: String
        let crc32: UInt32?
    }

    /// A part as the request to complete the upload names it.
    struct NamedPart: Sendable, Equatable {
        let number: Int
        let etag: String
        var crc32: UInt32?
    }

    static let maximumPartNumber = 10_000
    /// The least size of a part but the last: 5 MiB.
    static let minimumPartBytes: Int64 = 5 << 20

    private func uploadsFolder(_ bucket: String) throws -> String { try existing(bucket) + "/uploads" }
    private func recordPath(_ folder: String) -> String { folder + "/upload" }

    private func partPath(_ folder: String, _ number: Int) -> String {
        let digits = String(number)
        return "\(folder)/part-" + String(repeating: "0", count: 5 - digits.count) + digits
    }

    /// Begins an upload.
    func beginUpload(_ bucket: String, _ key: ObjectKey, fields: [ObjectMetadata.Field]) throws -> Upload {
        let upload = Upload(
            id: StagedFile.randomName() + StagedFile.randomName(), key: key, initiatedAt: .now, fields: fields)
        let folder = try uploadsFolder(bucket) + "/" + upload.id
        guard mkdir(folder, 0o700) == 0 else { throw SystemError("mkdir", folder) }
        // The key may hold line breaks, so it is percent-encoded.
        let lines =
            ["key \(SigV4Encoding.path(key.text))", "initiated \(upload.initiatedAt.milliseconds)"]
            + fields.map { "header \($0.name): \($0.value)" }
        try Folder.replace(recordPath(folder), with: Array((lines.joined(separator: "\n") + "\n").utf8))
        return upload
    }

    /// The upload of an id, which must be of this key.
    func upload(_ bucket: String, _ key: ObjectKey, id: String) throws -> Upload {
        let folder = try uploadsFolder(bucket)
        guard let upload = try readUpload(folder, id: id), upload.key == key else { throw S3Fault.noSuchUpload }
        return upload
    }

    private func readUpload(_ folder: String, id: String) throws -> Upload? {
        guard id.utf8.count == 32, id.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }),
            let record = try Folder.contents(of: recordPath("\(folder)/\(id)"))
        else { return nil }
        var key: ObjectKey?
        var initiated: Int64?
        var fields: [ObjectMetadata.Field] = []
        for line in String(decoding: record, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1)
            guard parts.count == 2 else { continue }
            switch parts[0] {
            case "key": key = PercentEncoding.decode(parts[1]).flatMap { ObjectKey($0) }
            case "initiated": initiated = Int64(parts[1])
            default:
                guard let colon = parts[1].firstRange(of: ": ") else { continue }
                fields.append(
                    .init(name: String(parts[1][..<colon.lowerBound]), value: String(parts[1][colon.upperBound...])))
            }
        }
        guard let key, let initiated else { return nil }
        return Upload(id: id, key: key, initiatedAt: Timestamp(milliseconds: initiated), fields: fields)
    }

    /// All uploads of a bucket, in order of their keys and times.
    func uploads(_ bucket: String) throws -> [Upload] {
        let folder = try uploadsFolder(bucket)
        return try Folder.entries(in: folder).compactMap { try readUpload(folder, id: $0.name) }
            .sorted { a, b in
                a.key == b.key ? (a.initiatedAt, a.id) < (b.initiatedAt, b.id) : a.key < b.key
            }
    }

    /// Keeps a part; one that was there under its number is replaced.
    func putPart(
        _ staged: StagedFile, _ digests: StagedFile.Digests, to bucket: String, _ upload: Upload, number: Int
    ) throws {
        let folder = try uploadsFolder(bucket) + "/" + upload.id
        let path = partPath(folder, number)
        let generation = try staged.stamp()
        let metadata = ObjectMetadata(etag: digests.etag, crc32: digests.crc32)
        do {
            let former = try Folder.status(path).map { Generation($0) }
            try OpenFile(path + generation.suffix, flags: O_WRONLY | O_CREAT | O_TRUNC)
                .write(Array(metadata.text.utf8))
            guard rename(staged.file.path, path) == 0 else { throw SystemError("rename", path) }
            if let former, former != generation { unlink(path + former.suffix) }
        } catch let error as SystemError where error.number == ENOENT {
            // The upload was completed or aborted in the meantime.
            throw S3Fault.noSuchUpload
        }
    }

    /// The parts that are there, in order of their numbers.
    func parts(_ bucket: String, _ upload: Upload) throws -> [Part] {
        let folder = try uploadsFolder(bucket) + "/" + upload.id
        return try Folder.entries(in: folder).compactMap { entry -> Int? in
            guard entry.name.hasPrefix("part-"), entry.name.utf8.count == 10 else { return nil }
            return Int(entry.name.dropFirst(5))
        }
        .sorted()
        .compactMap { try part(folder, $0)?.part }
    }

    private func part(_ folder: String, _ number: Int) throws -> (part: Part, file: OpenFile)? {
        let path = partPath(folder, number)
        for _ in 0..<16 {
            guard try Folder.status(path) != nil else { return nil }
            let file = try OpenFile(path, flags: O_RDONLY)
            let generation = Generation(try file.status())
            // None when the part was replaced since it was opened.
            guard let text = try Folder.contents(of: path + generation.suffix),
                let metadata = ObjectMetadata(text: String(decoding: text, as: UTF8.self))
            else { continue }
            let part = Part(
                number: number, sizeBytes: generation.sizeBytes,
                modifiedAt: Timestamp(milliseconds: generation.modifiedNanoseconds / 1_000_000), etag: metadata.etag,
                crc32: metadata.crc32)
            return (part, file)
        }
        return nil
    }

    /// Checks the list of parts of a request to complete an upload.
    ///
    /// - Returns: The parts as they lie here.
    /// - Throws: ``S3Fault``; the upload stays.
    func check(_ named: [NamedPart], of bucket: String, _ upload: Upload) throws -> [Part] {
        let folder = try uploadsFolder(bucket) + "/" + upload.id
        guard !named.isEmpty else { throw S3Fault.malformedXML }
        guard zip(named, named.dropFirst()).allSatisfy({ $0.number < $1.number }) else {
            throw S3Fault.invalidPartOrder
        }
        return try named.enumerated().map { index, name in
            guard (1...S3FileStore.maximumPartNumber).contains(name.number),
                let part = try part(folder, name.number)?.part, part.etag == name.etag,
                name.crc32 == nil || name.crc32 == part.crc32
            else { throw S3Fault.invalidPart }
            guard index == named.count - 1 || part.sizeBytes >= S3FileStore.minimumPartBytes else {
                throw S3Fault.entityTooSmall
            }
            return part
        }
    }

    /// Makes the object of checked parts and removes the upload.
    ///
    /// The kernel copies the parts into one file, so no memory is needed; for that time they are there twice.
    ///
    /// - Returns: The object's metadata, with the CRC-32 of the whole combined from those of its parts.
    func complete(
        _ parts: [Part], of bucket: String, _ upload: Upload, expectedCRC32: UInt32? = nil,
        condition: ((Object?) throws -> Void)? = nil
    ) throws -> ObjectMetadata {
        let folder = try uploadsFolder(bucket) + "/" + upload.id
        let staged = try stage()
        var digest = MessageDigest(.md5)
        var crc32: UInt32? = 0
        for part in parts {
            guard let (now, file) = try self.part(folder, part.number), now.etag == part.etag else {
                throw S3Fault.invalidPart
            }
            try staged.file.append(contentsOf: file, from: 0, count: part.sizeBytes)
            hexadecimalBytes(part.etag).withUnsafeBytes { digest.update($0) }
            crc32 = crc32.flatMap { former in
                part.crc32.map {
                    var joined = CRC32(former)
                    joined.append(CRC32($0), byteCount: part.sizeBytes)
                    return joined.value
                }
            }
        }
        if let expectedCRC32, let crc32, crc32 != expectedCRC32 { throw S3Fault.badDigest }
        let metadata = ObjectMetadata(
            etag: Hexadecimal.encode(digest.finish()) + "-\(parts.count)", crc32: crc32, uploadID: upload.id,
            fields: upload.fields)
        try commit(staged, to: bucket, upload.key, metadata, condition: condition)
        try abort(bucket, upload)
        return metadata
    }

    private func hexadecimalBytes(_ text: String) -> [UInt8] {
        let digits = text.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    /// Removes an upload and its parts.
    func abort(_ bucket: String, _ upload: Upload) throws {
        let folder = try uploadsFolder(bucket) + "/" + upload.id
        // Without its record it is no upload any more, so a crash in the middle leaves nothing that is seen.
        unlink(recordPath(folder))
        do {
            try Folder.removeTree(folder)
        } catch let error as SystemError where error.number == ENOTEMPTY {
            // A part came in meanwhile; the rest goes with the next try.
            try Folder.removeTree(folder)
        }
    }
}
