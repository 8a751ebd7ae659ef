internal import FunctionKit
internal import NIOCore
internal import NIOHTTP1
internal import ObjectStorage

extension S3Service {
    /// Fields that are kept with an object and sent with it.
    private static let keptFields = [
        "content-type", "content-disposition", "content-encoding", "content-language", "cache-control", "expires",
    ]

    /// The header fields of an object to be. Fields that ask for what this endpoint cannot do are refused.
    func fields(of request: S3Request) throws(S3Fault) -> [ObjectMetadata.Field] {
        var fields: [ObjectMetadata.Field] = []
        var metadataBytes = 0
        for name in Set(request.headers.map { $0.name.lowercased() }).sorted() {
            guard var value = request.header(name) else { continue }
            if name.hasPrefix("x-amz-meta-") {
                metadataBytes += name.utf8.count - "x-amz-meta-".utf8.count + value.utf8.count
            } else if S3Service.keptFields.contains(name) {
                if name == "content-encoding" {
                    value = value.split(separator: ",").map { $0.filter { $0 != " " } }
                        .filter { $0 != "aws-chunked" }.joined(separator: ",")
                    if value.isEmpty { continue }
                }
            } else {
                try S3Service.refuse(name, value)
                continue
            }
            fields.append(.init(name: name, value: value))
        }
        guard metadataBytes <= 2048 else {
            throw S3Fault(
                400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
        }
        return fields
    }

    private static func refuse(_ name: String, _ value: String) throws(S3Fault) {
        let isKnown =
            switch name {
            case "x-amz-acl": value == "private" || value == "bucket-owner-full-control"
            case "x-amz-storage-class": value == "STANDARD"
            case "x-amz-checksum-algorithm", "x-amz-sdk-checksum-algorithm":
                ["CRC32", "SHA1", "SHA256"].contains(value.uppercased())
            default:
                ![
                    "x-amz-server-side-encryption", "x-amz-object-lock-", "x-amz-grant-", "x-amz-tagging",
                    "x-amz-website-redirect-location", "x-amz-write-offset-bytes",
                ].contains { name.hasPrefix($0) }
            }
        guard isKnown else { throw .notImplemented("the header '\(name)' with this value") }
    }

    /// What must hold of the object that is there for a write to go on.
    func writeCondition(
        _ request: S3Request
    ) throws(S3Fault) -> (@Sendable (S3FileStore.Object?) throws -> Void)? {
        let ifMatch = request.header("if-match")
        let ifNoneMatch = request.header("if-none-match")
        guard ifMatch != nil || ifNoneMatch != nil else { return nil }
        guard ifNoneMatch == nil || ifNoneMatch == "*" else { throw .notImplemented("If-None-Match with a tag") }
        return { object in
            if ifNoneMatch != nil, object != nil { throw S3Fault.preconditionFailed }
            if let ifMatch {
                guard let object else { throw S3Fault.noSuchKey }
                guard Preconditions.matches(ifMatch, object.metadata.etag) else { throw S3Fault.preconditionFailed }
            }
        }
    }

    func putObject(
        _ bucket: String, _ key: ObjectKey, _ request: S3Request, _ identity: SigV4Identity, _ body: inout S3Inbound
    ) async throws -> S3Answer {
        try request.allow()
        if let source = request.header("x-amz-copy-source") {
            return try await copyObject(from: source, to: bucket, key, request)
        }
        let fields = try fields(of: request)
        let condition = try writeCondition(request)
        _ = try await onPool { store in
            _ = try store.existing(bucket)
            // Asked again at the end; here it spares a client the upload.
            if let condition { try condition(try store.open(bucket, key)) }
        }
        let (staged, digests) = try await receive(request, identity, &body)
        let metadata = ObjectMetadata(etag: digests.etag, crc32: digests.crc32, fields: fields)
        try await onPool { try $0.commit(staged, to: bucket, key, metadata, condition: condition) }
        var answer = S3Answer(headers: ["ETag": "\"\(digests.etag)\""])
        addChecksum(digests.crc32, to: &answer.headers)
        return answer
    }

    func addChecksum(_ crc32: UInt32?, to headers: inout HTTPHeaders) {
        guard let crc32 else { return }
        headers.add(name: "x-amz-checksum-crc32", value: S3Checksum.encode(crc32))
        headers.add(name: "x-amz-checksum-type", value: "FULL_OBJECT")
    }

    /// GET and HEAD.
    func getObject(_ bucket: String, _ key: ObjectKey, _ request: S3Request) async throws -> S3Answer {
        try request.allow(
            "response-content-type", "response-content-disposition", "response-content-encoding",
            "response-content-language", "response-cache-control", "response-expires")
        guard let object = try await onPool({ try $0.open(bucket, key) }) else { throw S3Fault.noSuchKey }
        var headers: HTTPHeaders = [
            "ETag": "\"\(object.metadata.etag)\"", "Last-Modified": HTTPDate.text(object.modifiedAt),
            "Accept-Ranges": "bytes",
        ]
        if request.header("origin") != nil {
            headers.add(name: "Access-Control-Allow-Origin", value: "*")
            headers.add(name: "Access-Control-Expose-Headers", value: "ETag, Content-Range, Accept-Ranges")
        }
        switch request.preconditions.evaluate(etag: object.metadata.etag, modifiedAt: object.modifiedAt) {
        case .failed: throw S3Fault.preconditionFailed
        case .notModified: return S3Answer(.notModified, headers: headers)
        case .proceed: break
        }
        for field in object.metadata.fields { headers.replaceOrAdd(name: field.name, value: field.value) }
        if headers.first(name: "content-type") == nil {
            headers.add(name: "Content-Type", value: "binary/octet-stream")
        }
        for parameter in request.parameters where parameter.name.hasPrefix("response-") {
            guard parameter.value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
                throw S3Fault.invalidArgument("\(parameter.name) has a control character")
            }
            headers.replaceOrAdd(name: String(parameter.name.dropFirst("response-".count)), value: parameter.value)
        }
        var answer = S3Answer(headers: headers)
        switch ByteRange.select(rangeHeader(request, object), sizeBytes: object.sizeBytes) {
        case .whole:
            answer.body = .file(object.file, 0..<object.sizeBytes)
            if request.header("x-amz-checksum-mode")?.uppercased() == "ENABLED" {
                addChecksum(object.metadata.crc32, to: &answer.headers)
            }
        case .part(let range):
            answer.status = .partialContent
            answer.headers.add(
                name: "Content-Range",
                value: "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(object.sizeBytes)")
            answer.body = .file(object.file, range)
        case .unsatisfiable:
            var fault = S3Fault(416, "InvalidRange", "The requested range is not satisfiable")
            fault.fields = [.init(name: "Content-Range", value: "bytes */\(object.sizeBytes)")]
            throw fault
        }
        return answer
    }

    /// The range, unless it was asked for an object that is another one by now.
    private func rangeHeader(_ request: S3Request, _ object: S3FileStore.Object) -> String? {
        guard let validator = request.header("if-range") else { return request.header("range") }
        let isSame =
            validator.hasPrefix("\"")
            ? Preconditions.matches(validator, object.metadata.etag)
            : validator == HTTPDate.text(object.modifiedAt)
        return isSame ? request.header("range") : nil
    }

    func deleteObject(_ bucket: String, _ key: ObjectKey, _ request: S3Request) async throws -> S3Answer {
        try request.allow()
        try await onPool { try $0.delete(bucket, key) }
        return S3Answer(.noContent)
    }

    func deleteObjects(
        _ bucket: String, _ request: S3Request, _ identity: SigV4Identity, _ body: inout S3Inbound
    ) async throws -> S3Answer {
        try request.allow("delete")
        let root = try XMLNode.parse(try await receiveXML(request, identity, &body), root: "Delete")
        let named = root.children.filter { $0.name == "Object" }
        guard (1...1000).contains(named.count) else { throw S3Fault.malformedXML }
        let keys = try named.map { object in
            guard let key = object["Key"].flatMap({ ObjectKey($0.text) }) else { throw S3Fault.malformedXML }
            guard object["VersionId"] == nil || object["VersionId"]?.text == "null" else {
                throw S3Fault.notImplemented("versions of objects")
            }
            return key
        }
        try await onPool { store in
            for key in keys { try store.delete(bucket, key) }
        }
        let isQuiet = root["Quiet"]?.text == "true"
        return .xml("DeleteResult") { xml in
            for key in keys where !isQuiet { xml.element("Deleted") { $0.element("Key", key.text) } }
        }
    }
}
