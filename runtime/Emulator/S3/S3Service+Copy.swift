internal import FunctionKit
internal import NIOCore
internal import NIOHTTP1
internal import ObjectStorage

extension S3Service {
    /// Reads `x-amz-copy-source`: `/bucket/key`, percent-encoded, the first slash optional.
    private func copySource(_ text: String) throws(S3Fault) -> (bucket: String, key: ObjectKey) {
        let fault = S3Fault.invalidArgument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
        let halves = text.split(separator: "?", maxSplits: 1)
        if halves.count == 2 { throw .notImplemented("versions of objects") }
        guard let decoded = halves.first.flatMap({ PercentEncoding.decode($0) }) else { throw fault }
        let path = decoded.hasPrefix("/") ? decoded.dropFirst() : decoded[...]
        guard let slash = path.firstIndex(of: "/"), let key = ObjectKey(String(path[path.index(after: slash)...]))
        else { throw fault }
        return (String(path[..<slash]), key)
    }

    /// The object to copy from, when the request's conditions on it hold.
    private func openSource(
        _ bucket: String, _ key: ObjectKey, _ request: S3Request
    ) async throws -> S3FileStore.Object {
        guard let object = try await onPool({ try $0.open(bucket, key) }) else { throw S3Fault.noSuchKey }
        let conditions = Preconditions(
            ifMatch: request.header("x-amz-copy-source-if-match"),
            ifNoneMatch: request.header("x-amz-copy-source-if-none-match"),
            ifModifiedSince: request.header("x-amz-copy-source-if-modified-since"),
            ifUnmodifiedSince: request.header("x-amz-copy-source-if-unmodified-since"))
        guard conditions.evaluate(etag: object.metadata.etag, modifiedAt: object.modifiedAt) == .proceed else {
            throw S3Fault.preconditionFailed
        }
        return object
    }

    func copyObject(
        from text: String, to bucket: String, _ key: ObjectKey, _ request: S3Request
    ) async throws -> S3Answer {
        let (sourceBucket, sourceKey) = try copySource(text)
        var fields: [ObjectMetadata.Field]?
        switch request.header("x-amz-metadata-directive") {
        case nil, "COPY": _ = try self.fields(of: request)
        case "REPLACE": fields = try self.fields(of: request)
        default: throw S3Fault.invalidArgument("Unknown metadata directive.")
        }
        guard fields != nil || sourceBucket != bucket || sourceKey != key else {
            throw S3Fault.invalidRequest(
                "This copy request is illegal because it is trying to copy an object to itself without changing the "
                    + "object's metadata, storage class, website redirect location or encryption attributes.")
        }
        let condition = try writeCondition(request)
        _ = try await onPool { try $0.existing(bucket) }
        let source = try await openSource(sourceBucket, sourceKey, request)
        guard source.sizeBytes <= S3Service.maximumObjectBytes else {
            throw S3Fault.invalidRequest(
                "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
        }
        var metadata = source.metadata
        metadata.uploadID = nil
        if let fields { metadata.fields = fields }
        return S3Answer(
            body: .slow { [metadata] in
                let time = try await onPool { store in
                    let staged = try store.stage()
                    try staged.file.append(contentsOf: source.file, from: 0, count: source.sizeBytes)
                    return try store.commit(staged, to: bucket, key, metadata, condition: condition)
                }
                return XMLText.document("CopyObjectResult") { xml in
                    xml.element("ETag", "\"\(metadata.etag)\"")
                    xml.element("LastModified", time.rfc3339)
                    if let crc32 = metadata.crc32 {
                        xml.element("ChecksumCRC32", S3Checksum.encode(crc32))
                        xml.element("ChecksumType", "FULL_OBJECT")
                    }
                }
            })
    }

    func copyPart(
        from text: String, to bucket: String, _ upload: S3FileStore.Upload, number: Int, _ request: S3Request
    ) async throws -> S3Answer {
        let (sourceBucket, sourceKey) = try copySource(text)
        let source = try await openSource(sourceBucket, sourceKey, request)
        let range =
            try request.header("x-amz-copy-source-range").map { header in
                try ByteRange.copySource(header, sizeBytes: source.sizeBytes)
            } ?? 0..<source.sizeBytes
        guard range.count <= S3Service.maximumObjectBytes else { throw S3Fault.entityTooLarge }
        return S3Answer(
            body: .slow {
                let digests = try await onPool { store in
                    let staged = try store.stage()
                    var offset = range.lowerBound
                    while offset < range.upperBound {
                        let count = Int(min(range.upperBound - offset, 1 << 20))
                        let chunk = try source.file.read(at: offset, count: count)
                        guard chunk.readableBytes > 0 else { throw S3Fault.internalError }
                        try staged.append(chunk)
                        offset += Int64(chunk.readableBytes)
                    }
                    let digests = staged.finish()
                    try store.putPart(staged, digests, to: bucket, upload, number: number)
                    return digests
                }
                return XMLText.document("CopyPartResult") { xml in
                    xml.element("ETag", "\"\(digests.etag)\"")
                    xml.element("LastModified", Timestamp.now.rfc3339)
                    xml.element("ChecksumCRC32", S3Checksum.encode(digests.crc32))
                }
            })
    }
}
