internal import FunctionKit
internal import NIOCore
internal import NIOHTTP1
internal import ObjectStorage

extension S3Service {
    func beginUpload(_ bucket: String, _ key: ObjectKey, _ request: S3Request) async throws -> S3Answer {
        try request.allow("uploads")
        let fields = try fields(of: request)
        let upload = try await onPool { try $0.beginUpload(bucket, key, fields: fields) }
        return .xml("InitiateMultipartUploadResult") { xml in
            xml.element("Bucket", bucket)
            xml.element("Key", key.text)
            xml.element("UploadId", upload.id)
        }
    }

    private func upload(_ bucket: String, _ key: ObjectKey, _ request: S3Request) async throws -> S3FileStore.Upload {
        let id = request.parameter("uploadId") ?? ""
        return try await onPool { try $0.upload(bucket, key, id: id) }
    }

    func uploadPart(
        _ bucket: String, _ key: ObjectKey, _ request: S3Request, _ identity: SigV4Identity, _ body: inout S3Inbound
    ) async throws -> S3Answer {
        try request.allow("partNumber", "uploadId")
        guard let number = request.parameter("partNumber").flatMap({ Int($0) }),
            (1...S3FileStore.maximumPartNumber).contains(number)
        else {
            throw S3Fault.invalidArgument("Part number must be an integer between 1 and 10000, inclusive")
        }
        let upload = try await upload(bucket, key, request)
        if let source = request.header("x-amz-copy-source") {
            return try await copyPart(from: source, to: bucket, upload, number: number, request)
        }
        let (staged, digests) = try await receive(request, identity, &body)
        try await onPool { try $0.putPart(staged, digests, to: bucket, upload, number: number) }
        return S3Answer(headers: [
            "ETag": "\"\(digests.etag)\"", "x-amz-checksum-crc32": S3Checksum.encode(digests.crc32),
        ])
    }

    func listParts(_ bucket: String, _ key: ObjectKey, _ request: S3Request) async throws -> S3Answer {
        try request.allow("uploadId", "max-parts", "part-number-marker", "encoding-type")
        let limit = try request.integer("max-parts", default: 1000, 0...1000)
        let marker = try request.integer("part-number-marker", default: 0, 0...S3FileStore.maximumPartNumber)
        let encode = try S3Service.encoding(request)
        let upload = try await upload(bucket, key, request)
        let parts = try await onPool { try $0.parts(bucket, upload) }.filter { $0.number > marker }
        let page = parts.prefix(limit)
        return .xml("ListPartsResult") { xml in
            xml.element("Bucket", bucket)
            xml.element("Key", encode(key.text))
            xml.element("UploadId", upload.id)
            xml.element("PartNumberMarker", marker)
            if page.count < parts.count, let last = page.last { xml.element("NextPartNumberMarker", last.number) }
            xml.element("MaxParts", limit)
            xml.element("IsTruncated", limit > 0 && page.count < parts.count)
            xml.element("StorageClass", "STANDARD")
            for part in page {
                xml.element("Part") { xml in
                    xml.element("PartNumber", part.number)
                    xml.element("LastModified", part.modifiedAt.rfc3339)
                    xml.element("ETag", "\"\(part.etag)\"")
                    xml.element("Size", part.sizeBytes)
                    if let crc32 = part.crc32 { xml.element("ChecksumCRC32", S3Checksum.encode(crc32)) }
                }
            }
        }
    }

    func completeUpload(
        _ bucket: String, _ key: ObjectKey, _ request: S3Request, _ identity: SigV4Identity, _ body: inout S3Inbound
    ) async throws -> S3Answer {
        try request.allow("uploadId")
        let id = request.parameter("uploadId") ?? ""
        let root = try XMLNode.parse(
            try await receiveXML(request, identity, &body, isChecksumOfBody: false), root: "CompleteMultipartUpload")
        let named = try root.children.filter { $0.name == "Part" }.map { try S3Service.namedPart($0) }
        let expected = try request.header("x-amz-checksum-crc32").map { text in
            guard let crc32 = S3Checksum.decode(text) else {
                throw S3Fault.invalidRequest("Value for x-amz-checksum-crc32 header is invalid.")
            }
            return crc32
        }
        let condition = try writeCondition(request)
        let found = try await onPool { store -> CompletedUpload in
            do {
                let upload = try store.upload(bucket, key, id: id)
                return .parts(upload, try store.check(named, of: bucket, upload))
            } catch let fault as S3Fault where fault == .noSuchUpload {
                // The client did not see the answer of the first time.
                guard let object = try store.open(bucket, key), object.metadata.uploadID == id else {
                    throw fault
                }
                return .already(object.metadata)
            }
        }
        return S3Answer(
            body: .slow {
                let metadata: ObjectMetadata
                switch found {
                case .already(let former): metadata = former
                case .parts(let upload, let parts):
                    metadata = try await onPool {
                        try $0.complete(parts, of: bucket, upload, expectedCRC32: expected, condition: condition)
                    }
                }
                return XMLText.document("CompleteMultipartUploadResult") { xml in
                    xml.element("Location", "/\(bucket)/\(SigV4Encoding.path(key.text))")
                    xml.element("Bucket", bucket)
                    xml.element("Key", key.text)
                    xml.element("ETag", "\"\(metadata.etag)\"")
                    if let crc32 = metadata.crc32 {
                        xml.element("ChecksumCRC32", S3Checksum.encode(crc32))
                        xml.element("ChecksumType", "FULL_OBJECT")
                    }
                }
            })
    }

    private enum CompletedUpload: Sendable {
        case parts(S3FileStore.Upload, [S3FileStore.Part])
        case already(ObjectMetadata)
    }

    private static func namedPart(_ node: XMLNode) throws(S3Fault) -> S3FileStore.NamedPart {
        guard let number = node["PartNumber"].flatMap({ Int($0.text) }), var etag = node["ETag"]?.text else {
            throw .malformedXML
        }
        if etag.hasPrefix("\""), etag.hasSuffix("\""), etag.count >= 2 { etag = String(etag.dropFirst().dropLast()) }
        var part = S3FileStore.NamedPart(number: number, etag: etag)
        if let text = node["ChecksumCRC32"]?.text {
            guard let crc32 = S3Checksum.decode(text) else { throw .invalidPart }
            part.crc32 = crc32
        }
        return part
    }

    func abortUpload(_ bucket: String, _ key: ObjectKey, _ request: S3Request) async throws -> S3Answer {
        try request.allow("uploadId")
        let upload = try await upload(bucket, key, request)
        try await onPool { try $0.abort(bucket, upload) }
        return S3Answer(.noContent)
    }

    func listUploads(_ bucket: String, _ request: S3Request) async throws -> S3Answer {
        try request.allow(
            "uploads", "prefix", "delimiter", "max-uploads", "key-marker", "upload-id-marker", "encoding-type")
        let prefix = request.parameter("prefix") ?? ""
        let delimiter = request.parameter("delimiter") ?? ""
        let limit = try request.integer("max-uploads", default: 1000, 0...1000)
        let keyMarker = request.parameter("key-marker") ?? ""
        let idMarker = request.parameter("upload-id-marker") ?? ""
        let encode = try S3Service.encoding(request)
        let page = UploadPage(
            try await onPool { try $0.uploads(bucket) }, prefix: prefix, delimiter: delimiter, keyMarker: keyMarker,
            idMarker: idMarker, limit: limit)
        return .xml("ListMultipartUploadsResult") { xml in
            xml.element("Bucket", bucket)
            xml.element("KeyMarker", encode(keyMarker))
            xml.element("UploadIdMarker", idMarker)
            if page.isTruncated, let last = page.last {
                xml.element("NextKeyMarker", encode(last.key))
                xml.element("NextUploadIdMarker", last.id)
            }
            xml.element("Prefix", encode(prefix))
            if !delimiter.isEmpty { xml.element("Delimiter", encode(delimiter)) }
            if request.parameter("encoding-type") != nil { xml.element("EncodingType", "url") }
            xml.element("MaxUploads", limit)
            xml.element("IsTruncated", page.isTruncated)
            for upload in page.uploads {
                xml.element("Upload") { xml in
                    xml.element("Key", encode(upload.key.text))
                    xml.element("UploadId", upload.id)
                    xml.element("StorageClass", "STANDARD")
                    xml.element("Initiated", upload.initiatedAt.rfc3339)
                }
            }
            for prefix in page.prefixes { xml.element("CommonPrefixes") { $0.element("Prefix", encode(prefix)) } }
        }
    }
}
