internal import Checksum
internal import FunctionKit
internal import Glibc
internal import NIOCore
internal import ObjectStorage

extension S3FileStore {
    /// Makes an object from a local file, without a request.
    ///
    /// - Parameters:
    ///   - path: The file. It is not changed.
    ///   - bucket: A bucket that exists.
    ///   - key: The object's key, 1 to 1024 bytes.
    ///   - contentType: The media type to keep with it.
    ///   - isLinked: Whether the object and the file may share their bytes (a hard link where both lie on one
    ///     filesystem): instant at any size, sparse files stay sparse; the file must then not be changed in place.
    ///   - hasChecksums: Whether MD5 and CRC-32 are computed, which takes one pass over the file. Without them the
    ///     entity tag is made of time and size, and the object has no stored checksum.
    /// - Throws: ``EmulatorError`` with code `.file`, or an error that names the bucket or key; nothing is changed then.
    public func importFile(
        at path: String, bucket: String, key: String, contentType: String = "application/octet-stream",
        isLinked: Bool = false, hasChecksums: Bool = true
    ) throws {
        guard let key = ObjectKey(key) else { throw S3Fault.invalidArgument("A key has 1 to 1024 bytes.") }
        do {
            let source = try OpenFile(path, flags: O_RDONLY)
            let fields = [ObjectMetadata.Field(name: "content-type", value: contentType)]
            if isLinked {
                let linked = "\(temporaryFolder)/\(StagedFile.randomName())"
                if link(source.path, linked) == 0 {
                    // A rename onto a link of the same file does nothing, and leaves this one.
                    defer { unlink(linked) }
                    let generation = Generation(try source.status())
                    var metadata = ObjectMetadata(of: generation)
                    if hasChecksums {
                        let digests = try digests(of: source)
                        metadata = ObjectMetadata(etag: digests.etag, crc32: digests.crc32)
                    }
                    metadata.fields = fields
                    return try put(linked, generation, to: bucket, key, metadata)
                }
                guard errno == EXDEV || errno == EPERM else { throw SystemError("link", path) }
            }
            let staged = try stage()
            try staged.file.append(contentsOf: source, from: 0, count: Int64(try source.status().st_size))
            let generation = try staged.stamp()
            var metadata = ObjectMetadata(of: generation)
            if hasChecksums {
                let digests = try digests(of: staged.file)
                metadata = ObjectMetadata(etag: digests.etag, crc32: digests.crc32)
            }
            metadata.fields = fields
            try put(staged.file.path, generation, to: bucket, key, metadata)
        } catch let error as SystemError {
            throw EmulatorError(.file, "\(path) cannot be made an object.", cause: error)
        }
    }

    /// Makes an object from bytes, without a request.
    ///
    /// - Throws: As ``importFile(at:bucket:key:contentType:isLinked:hasChecksums:)``.
    public func importBytes(
        _ bytes: [UInt8], bucket: String, key: String, contentType: String = "application/octet-stream"
    ) throws {
        guard let key = ObjectKey(key) else { throw S3Fault.invalidArgument("A key has 1 to 1024 bytes.") }
        do {
            let staged = try stage()
            try bytes.withUnsafeBytes { try staged.append($0) }
            let digests = staged.finish()
            try commit(
                staged, to: bucket, key,
                ObjectMetadata(
                    etag: digests.etag, crc32: digests.crc32,
                    fields: [.init(name: "content-type", value: contentType)]))
        } catch let error as SystemError {
            throw EmulatorError(.file, "The object \(key) cannot be written.", cause: error)
        }
    }

    /// Whether there is an object of that key.
    ///
    /// - Throws: An error that names the bucket when there is none.
    public func contains(bucket: String, key: String) throws -> Bool {
        guard let key = ObjectKey(key) else { return false }
        return try open(bucket, key) != nil
    }

    private func digests(of file: OpenFile) throws -> StagedFile.Digests {
        var md5 = MessageDigest(.md5)
        var crc32 = CRC32()
        var offset: Int64 = 0
        while true {
            let chunk = try file.read(at: offset, count: 1 << 20)
            guard chunk.readableBytes > 0 else { break }
            md5.update(chunk)
            crc32.update(chunk)
            offset += Int64(chunk.readableBytes)
        }
        return StagedFile.Digests(md5: md5.finish(), crc32: crc32.value, sizeBytes: offset)
    }
}
