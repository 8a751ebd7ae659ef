internal import FunctionKit
internal import NIOHTTP1
internal import ObjectStorage

extension S3Service {
    func listBuckets(_ request: S3Request) async throws -> S3Answer {
        try request.allow()
        let buckets = try await onPool { try $0.buckets() }
        return .xml("ListAllMyBucketsResult") { xml in
            xml.element("Owner") { $0.element("ID", "ferry") }
            xml.element("Buckets") { xml in
                for bucket in buckets {
                    xml.element("Bucket") { xml in
                        xml.element("Name", bucket.name)
                        xml.element("CreationDate", bucket.createdAt.rfc3339)
                    }
                }
            }
        }
    }

    func createBucket(
        _ bucket: String, _ request: S3Request, _ identity: SigV4Identity, _ body: inout S3Inbound
    ) async throws -> S3Answer {
        try request.allow()
        if request.header("x-amz-bucket-object-lock-enabled")?.lowercased() == "true" {
            throw S3Fault.notImplemented("object lock")
        }
        let text = try await receiveXML(request, identity, &body)
        if !text.isEmpty { _ = try XMLNode.parse(text, root: "CreateBucketConfiguration") }
        guard try await onPool({ try $0.createBucket(bucket) }) else {
            throw S3Fault(
                409, "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own it.")
        }
        return S3Answer(headers: ["Location": "/\(bucket)"])
    }

    func headBucket(_ bucket: String, _ request: S3Request) async throws -> S3Answer {
        try request.allow()
        _ = try await onPool { try $0.existing(bucket) }
        return S3Answer(headers: ["x-amz-bucket-region": region])
    }

    func deleteBucket(_ bucket: String, _ request: S3Request) async throws -> S3Answer {
        try request.allow()
        try await onPool { try $0.deleteBucket(bucket) }
        return S3Answer(.noContent)
    }

    func bucketLocation(_ bucket: String, _ request: S3Request) async throws -> S3Answer {
        try request.allow("location")
        _ = try await onPool { try $0.existing(bucket) }
        // The oldest region is told by an empty element.
        let text = region == "us-east-1" ? "" : XMLText.escape(region)
        return S3Answer(
            body: .text(
                XMLText.declaration
                    + "<LocationConstraint xmlns=\"\(XMLText.namespace)\">\(text)</LocationConstraint>"))
    }

    /// Both versions of the listing; the second has tokens, the first has markers.
    func listObjects(_ bucket: String, _ request: S3Request) async throws -> S3Answer {
        let isSecond = request.parameter("list-type") == "2"
        if isSecond {
            try request.allow(
                "list-type", "prefix", "delimiter", "max-keys", "encoding-type", "continuation-token", "start-after",
                "fetch-owner")
        } else {
            try request.allow("prefix", "delimiter", "max-keys", "encoding-type", "marker")
        }
        let prefix = request.parameter("prefix") ?? ""
        let delimiter = request.parameter("delimiter") ?? ""
        let limit = try request.integer("max-keys", default: 1000, 0...1000)
        let encode = try S3Service.encoding(request)
        let after: String
        if isSecond, let token = request.parameter("continuation-token") {
            guard let marker = ContinuationToken.marker(of: token) else {
                throw S3Fault.invalidArgument("The continuation token provided is incorrect")
            }
            after = marker
        } else {
            after = request.parameter(isSecond ? "start-after" : "marker") ?? ""
        }
        let listing = try await onPool {
            try $0.list(bucket, prefix: prefix, delimiter: delimiter, after: after, limit: limit)
        }
        return .xml("ListBucketResult") { xml in
            xml.element("Name", bucket)
            xml.element("Prefix", encode(prefix))
            if !delimiter.isEmpty { xml.element("Delimiter", encode(delimiter)) }
            xml.element("MaxKeys", limit)
            if request.parameter("encoding-type") != nil { xml.element("EncodingType", "url") }
            xml.element("IsTruncated", listing.isTruncated)
            let next = listing.isTruncated ? listing.items.last?.marker : nil
            if isSecond {
                xml.element("KeyCount", listing.items.count)
                if let token = request.parameter("continuation-token") { xml.element("ContinuationToken", token) }
                if let start = request.parameter("start-after") { xml.element("StartAfter", encode(start)) }
                if let next { xml.element("NextContinuationToken", ContinuationToken.text(next)) }
            } else {
                xml.element("Marker", encode(after))
                if let next { xml.element("NextMarker", encode(next)) }
            }
            let hasOwner = !isSecond || request.parameter("fetch-owner") == "true"
            for case .object(let object) in listing.items {
                xml.element("Contents") { xml in
                    xml.element("Key", encode(object.key))
                    xml.element("LastModified", object.modifiedAt.rfc3339)
                    xml.element("ETag", "\"\(object.etag)\"")
                    if object.crc32 != nil {
                        xml.element("ChecksumAlgorithm", "CRC32")
                        xml.element("ChecksumType", "FULL_OBJECT")
                    }
                    xml.element("Size", object.sizeBytes)
                    if hasOwner { xml.element("Owner") { $0.element("ID", "ferry") } }
                    xml.element("StorageClass", "STANDARD")
                }
            }
            for case .prefix(let prefix) in listing.items {
                xml.element("CommonPrefixes") { $0.element("Prefix", encode(prefix)) }
            }
        }
    }

    /// How names are written in a listing: as they are, or percent-encoded when asked.
    static func encoding(_ request: S3Request) throws(S3Fault) -> (String) -> String {
        switch request.parameter("encoding-type") {
        case nil: return { $0 }
        case "url": return { SigV4Encoding.path($0) }
        default: throw .invalidArgument("Invalid Encoding Method specified in Request")
        }
    }
}

/// Where a listing goes on: the last name that was listed, in digits so that nobody takes it for one.
enum ContinuationToken {
    static func text(_ marker: String) -> String { Hexadecimal.encode(Array(marker.utf8)) }

    static func marker(of token: String) -> String? {
        let digits = token.utf8.map { Character(Unicode.Scalar($0)).hexDigitValue }
        guard !digits.isEmpty, digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
