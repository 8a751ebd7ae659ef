public import FunctionKit
public import NIOCore
internal import NIOHTTP1

extension S3ObjectStore {
    /// Writes a whole object; see ``ObjectStore/write(_:body:contentType:checksum:)``.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - body: The object's bytes.
    ///   - contentType: The media type that the store keeps with it.
    ///   - checksum: CRC-32 of the body where it is known; the store verifies and keeps it.
    /// - Throws: ``S3Error``, with S3's code `BadDigest` when the checksum does not match.
    public func write(_ key: String, body: ByteBuffer, contentType: String, checksum: UInt32?) async throws {
        var request = S3Request(
            operation: "PUT object", method: .PUT, key: key, headers: [(name: "content-type", value: contentType)],
            body: S3RequestBody([body]), payload: .unsigned)
        if let checksum {
            request.headers.append((name: "x-amz-checksum-crc32", value: S3Checksum.encode(checksum)))
        }
        try await retrying(request.operation) { try await drain(try await send(request)) }
    }

    /// Removes an object; one that is gone already is no error.
    public func delete(_ key: String) async throws {
        let request = S3Request(operation: "DELETE object", method: .DELETE, key: key)
        try await retrying(request.operation) {
            do { try await drain(try await send(request)) } catch let error as S3Error where error.s3Code == "NoSuchKey"
            {
                return
            }
        }
    }

    /// Objects under a prefix in order of their keys; see ``ObjectStore/list(prefix:after:limit:)``.
    ///
    /// - Parameters:
    ///   - prefix: What the keys begin with; empty for all.
    ///   - after: The key after which the listing begins.
    ///   - limit: 1 to 1 000.
    /// - Returns: The objects; checksums are not part of a listing.
    /// - Throws: ``S3Error``.
    public func list(prefix: String, after: String?, limit: Int) async throws -> [ObjectInfo] {
        guard (1...1000).contains(limit) else { throw S3Error(.invalidArgument, "a listing has 1 to 1000 objects") }
        var query = [
            SigV4Parameter("list-type", "2"), SigV4Parameter("encoding-type", "url"),
            SigV4Parameter("max-keys", String(limit)),
        ]
        if !prefix.isEmpty { query.append(SigV4Parameter("prefix", prefix)) }
        if let after, !after.isEmpty { query.append(SigV4Parameter("start-after", after)) }
        let reply = try await document(
            S3Request(operation: "LIST objects", method: .GET, key: nil, query: query), root: "ListBucketResult")
        return try reply.all("Contents").map { object in
            guard let key = S3ObjectStore.key(of: object, in: reply), let size = object["Size"].flatMap({ Int64($0) })
            else { throw S3Error(.invalidResponse, "LIST objects failed: an entry has no key or size") }
            return ObjectInfo(
                key: key, sizeBytes: size, etag: object["ETag"], crc32: nil,
                modifiedAt: object["LastModified"].flatMap { Timestamp(s3: $0) })
        }
    }

    /// Sends a request until it has succeeded, and reads the reply's document.
    func document(_ request: S3Request, root: String) async throws -> S3XMLElement {
        try await retrying(request.operation) {
            let (head, body) = try await sendAndCollect(request)
            let reply: S3XMLElement
            do { reply = try S3XMLElement(parsing: body.readableBytesView) } catch {
                throw S3Error(.invalidResponse, "\(request.operation) failed: the reply is no document", cause: error)
            }
            if reply.name == "Error" {
                throw S3ObjectStore.rejection(
                    operation: request.operation, status: Int(head.status.code), reply: reply)
            }
            guard reply.name == root else {
                throw S3Error(.invalidResponse, "\(request.operation) failed: the reply is another document")
            }
            return reply
        }
    }

    /// The key of an entry, decoded where the reply says that it is encoded: not every character can stand in XML.
    static func key(_ name: String = "Key", of entry: S3XMLElement, in reply: S3XMLElement) -> String? {
        guard reply["EncodingType"] == "url" else { return entry[name] }
        return entry[name].flatMap { PercentEncoding.decode($0, plusIsSpace: true) }
    }
}
