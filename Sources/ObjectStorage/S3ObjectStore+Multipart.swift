public import FunctionKit
public import NIOCore
internal import NIOHTTP1

extension S3ObjectStore {
    /// Begins a multipart upload.
    public func beginUpload(_ key: String, contentType: String) async throws -> ObjectUpload {
        // Sent again after a lost answer, this may leave an upload behind; sweeping old uploads takes that away.
        let reply = try await document(
            S3Request(
                operation: "BEGIN upload", method: .POST, key: key, query: [SigV4Parameter("uploads")],
                headers: [(name: "content-type", value: contentType)]),
            root: "InitiateMultipartUploadResult")
        guard let id = reply["UploadId"], !id.isEmpty else {
            throw S3Error(.invalidResponse, "BEGIN upload failed: the reply has no upload id")
        }
        return ObjectUpload(key: key, id: id)
    }

    /// Uploads one part; see ``ObjectStore/uploadPart(_:number:body:)``.
    ///
    /// - Parameters:
    ///   - upload: The upload.
    ///   - number: 1 to 10 000; the same number again replaces the part.
    ///   - body: The part's bytes in order, 5 GiB at most.
    /// - Returns: The part.
    /// - Throws: ``S3Error``, with S3's code `NoSuchUpload` when the upload is gone.
    public func uploadPart(_ upload: ObjectUpload, number: Int, body: [ByteBuffer]) async throws -> ObjectPart {
        guard (1...10_000).contains(number) else {
            throw S3Error(.invalidArgument, "a part's number is 1 to 10000")
        }
        let request = S3Request(
            operation: "PUT part", method: .PUT, key: upload.key,
            query: [SigV4Parameter("partNumber", String(number)), SigV4Parameter("uploadId", upload.id)],
            body: S3RequestBody(body), payload: .unsigned)
        return try await retrying(request.operation) {
            let exchange = try await send(request)
            let head = try await exchange.head()
            try await drain(exchange)
            guard let etag = head.headers.first(name: "etag"), !etag.isEmpty else {
                throw S3Error(.invalidResponse, "PUT part failed: the answer has no entity tag")
            }
            return ObjectPart(number: number, etag: etag)
        }
    }

    /// Makes the object from its parts.
    ///
    /// When the answer is lost, or is an error inside a 200, it is asked for again; when the upload is gone by then, or
    /// all tries have failed so, the object itself tells whether it was made: its entity tag is that of these parts.
    ///
    /// - Throws: ``S3Error``. Whether there is an object is unknown after a transient one.
    public func completeUpload(_ upload: ObjectUpload, parts: [ObjectPart]) async throws {
        guard !parts.isEmpty, zip(parts, parts.dropFirst()).allSatisfy({ $0.number < $1.number }) else {
            throw S3Error(.invalidArgument, "an upload has at least one part, in order of their numbers")
        }
        let body = ByteBuffer(string: S3MultipartManifest.document(parts))
        let request = S3Request(
            operation: "COMPLETE upload", method: .POST, key: upload.key,
            query: [SigV4Parameter("uploadId", upload.id)],
            headers: [(name: "content-type", value: "application/xml")], body: S3RequestBody([body]),
            payload: .sha256(Hexadecimal.encode(MessageDigest.digest(.sha256, of: body))))
        do {
            _ = try await document(request, root: "CompleteMultipartUploadResult")
        } catch let error as S3Error
            where error.isTransient || error.code == .invalidResponse || error.s3Code == "NoSuchUpload"
        {
            guard let expected = S3MultipartManifest.entityTag(parts), try await isThere(upload.key, etag: expected)
            else { throw error }
            logger.debug("S3 upload was complete in spite of the answer", metadata: ["error": "\(error)"])
        }
    }

    /// Gives an upload up; one that is gone already is no error.
    public func abortUpload(_ upload: ObjectUpload) async throws {
        let request = S3Request(
            operation: "ABORT upload", method: .DELETE, key: upload.key,
            query: [SigV4Parameter("uploadId", upload.id)])
        try await retrying(request.operation) {
            do { try await drain(try await send(request)) } catch let error as S3Error where error.status == 404 {
                return
            }
        }
    }

    /// Unfinished multipart uploads under a prefix; see ``ObjectStore/listUploads(prefix:after:)``.
    ///
    /// A store that says that there is more, but not where, ends the listing: the same page would come again.
    ///
    /// - Parameters:
    ///   - prefix: What the keys begin with.
    ///   - after: Where the page begins.
    /// - Returns: A page.
    /// - Throws: ``S3Error``.
    public func listUploads(prefix: String, after: ObjectUpload?) async throws -> ObjectUploadPage {
        var query = [
            SigV4Parameter("uploads"), SigV4Parameter("encoding-type", "url"), SigV4Parameter("max-uploads", "1000"),
        ]
        if !prefix.isEmpty { query.append(SigV4Parameter("prefix", prefix)) }
        if let after {
            query.append(SigV4Parameter("key-marker", after.key))
            if !after.id.isEmpty { query.append(SigV4Parameter("upload-id-marker", after.id)) }
        }
        let reply = try await document(
            S3Request(operation: "LIST uploads", method: .GET, key: nil, query: query),
            root: "ListMultipartUploadsResult")
        let uploads = try reply.all("Upload").map { upload in
            guard let key = S3ObjectStore.key(of: upload, in: reply), let id = upload["UploadId"] else {
                throw S3Error(.invalidResponse, "LIST uploads failed: an entry has no key or id")
            }
            return ObjectUpload(
                key: key, id: id, initiatedAt: upload["Initiated"].flatMap { Timestamp(s3: $0) })
        }
        var next: ObjectUpload?
        if reply["IsTruncated"] == "true", let key = S3ObjectStore.key("NextKeyMarker", of: reply, in: reply),
            !key.isEmpty
        {
            next = ObjectUpload(key: key, id: reply["NextUploadIdMarker"] ?? "")
        }
        if let after, let found = next, found.key == after.key, found.id == after.id { next = nil }
        return ObjectUploadPage(uploads: uploads, next: next)
    }

    /// Whether there is an object with that entity tag; not being able to tell is no.
    private func isThere(_ key: String, etag: String) async throws -> Bool {
        do {
            return try await head(key)?.etag == etag
        } catch let error as S3Error {
            logger.debug("S3 upload's outcome is unknown", metadata: ["error": "\(error)"])
            return false
        }
    }
}
