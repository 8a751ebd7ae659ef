internal import FunctionKit
internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import ObjectStorage

/// Answers S3's requests from a file store. Knows nothing of sockets: a request's body is asked for piece by piece.
struct S3Service: Sendable {
    let store: S3FileStore
    let credentials: S3Credentials
    let region: String
    /// The endpoint's names, below which a `Host` names a bucket.
    let hostNames: [String]
    let pool: NIOThreadPool
    let logger: Logger

    /// The most of one PUT: 5 GiB, as in S3.
    static let maximumObjectBytes: Int64 = 5 << 30
    /// The most of a body that is XML: 10 000 parts, or 1000 keys of 1024 bytes with every character escaped.
    static let maximumXMLBytes: Int64 = 8 << 20
    /// What is handed to the thread pool at a time.
    private static let batchBytes = 256 << 10

    /// Answers a request. Every failure becomes an answer, but those of the connection.
    func answer(_ head: HTTPRequestHead, id: String, body: inout S3Inbound) async throws -> S3Answer {
        var resource = "/"
        do {
            let request = try S3Request(head, id: id, hostNames: hostNames)
            resource = "/" + [request.bucket, request.key].compactMap(\.self).joined(separator: "/")
            // Many clients still presign so unless they are told otherwise; "access denied" would not tell them why.
            if request.parameter("AWSAccessKeyId") != nil {
                throw S3Fault.invalidRequest(
                    "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
            }
            let incoming = SigV4IncomingRequest(
                method: request.method.rawValue, target: request.target,
                headers: request.headers.map { (name: $0.name, value: $0.value) })
            let identity = try SigV4Verifier(region: region).verify(incoming, now: .now) { accessKeyID in
                accessKeyID == credentials.accessKeyID ? credentials : nil
            }
            return try await perform(request, identity, &body)
        } catch let error as ChannelError {
            throw error
        } catch let error as HTTPParserError {
            // The body broke off, or is no HTTP: nobody waits for an answer.
            throw error
        } catch let error as CancellationError {
            throw error
        } catch {
            return S3Answer.fault(fault(of: error, id: id), resource: resource, id: id)
        }
    }

    /// What is answered for an error; one that the client could not cause is logged.
    func fault(of error: any Error, id: String) -> S3Fault {
        switch error {
        case let fault as S3Fault: return fault
        case let rejection as SigV4Rejection: return S3Fault(rejection)
        default:
            logger.error(
                "A request to the local S3 endpoint failed.", metadata: ["request": "\(id)", "error": "\(error)"])
            if let error = error as? SystemError, error.number == ENOSPC || error.number == EDQUOT {
                return S3Fault(507, "InsufficientStorage", "There is no space left in the data directory.")
            }
            return .internalError
        }
    }

    private func perform(
        _ request: S3Request, _ identity: SigV4Identity, _ body: inout S3Inbound
    ) async throws -> S3Answer {
        guard let bucket = request.bucket else {
            guard request.method == .GET else { throw S3Fault.notImplemented("\(request.method) of the service") }
            return try await listBuckets(request)
        }
        guard let text = request.key else { return try await performOnBucket(bucket, request, identity, &body) }
        guard let key = ObjectKey(text) else { throw S3Fault(400, "KeyTooLongError", "Your key is too long") }
        let isUpload = request.parameter("uploadId") != nil
        switch request.method {
        case .GET where isUpload: return try await listParts(bucket, key, request)
        case .GET, .HEAD: return try await getObject(bucket, key, request)
        case .PUT where isUpload: return try await uploadPart(bucket, key, request, identity, &body)
        case .PUT: return try await putObject(bucket, key, request, identity, &body)
        case .DELETE where isUpload: return try await abortUpload(bucket, key, request)
        case .DELETE: return try await deleteObject(bucket, key, request)
        case .POST where request.parameter("uploads") != nil: return try await beginUpload(bucket, key, request)
        case .POST where isUpload: return try await completeUpload(bucket, key, request, identity, &body)
        default: throw S3Fault.notImplemented("\(request.method) of an object")
        }
    }

    private func performOnBucket(
        _ bucket: String, _ request: S3Request, _ identity: SigV4Identity, _ body: inout S3Inbound
    ) async throws -> S3Answer {
        switch request.method {
        case .GET where request.parameter("location") != nil: return try await bucketLocation(bucket, request)
        case .GET where request.parameter("uploads") != nil: return try await listUploads(bucket, request)
        case .GET: return try await listObjects(bucket, request)
        case .HEAD: return try await headBucket(bucket, request)
        case .PUT: return try await createBucket(bucket, request, identity, &body)
        case .DELETE: return try await deleteBucket(bucket, request)
        case .POST where request.parameter("delete") != nil:
            return try await deleteObjects(bucket, request, identity, &body)
        default: throw S3Fault.notImplemented("\(request.method) of a bucket")
        }
    }

    // MARK: For the operations

    /// Makes a blocking call on the thread pool.
    @discardableResult
    func onPool<Result: Sendable>(_ work: @escaping @Sendable (S3FileStore) throws -> Result) async throws -> Result {
        let store = store
        return try await pool.runIfActive { try work(store) }
    }

    /// Reads a body into a file out of sight, and checks it.
    func receive(
        _ request: S3Request, _ identity: SigV4Identity, _ body: inout S3Inbound
    ) async throws -> (staged: StagedFile, digests: StagedFile.Digests) {
        let claims = try BodySink.Claims(request, identity)
        let staged = try await onPool { try $0.stage() }
        let sink = try BodySink(claims, file: staged, limitBytes: S3Service.maximumObjectBytes)
        try await pour(&body, into: sink)
        let digests = try await pool.runIfActive { try sink.finish().digests }
        return (staged, digests)
    }

    /// Reads a small body, and checks it. A checksum in the header may be not the body's but that of an object to be.
    func receiveXML(
        _ request: S3Request, _ identity: SigV4Identity, _ body: inout S3Inbound, isChecksumOfBody: Bool = true
    ) async throws -> [UInt8] {
        var claims = try BodySink.Claims(request, identity)
        if !isChecksumOfBody { claims.dropChecksums() }
        let sink = try BodySink(claims, file: nil, limitBytes: S3Service.maximumXMLBytes)
        try await pour(&body, into: sink)
        return try await pool.runIfActive { Array(buffer: try sink.finish().kept) }
    }

    /// The socket is read only as fast as the pieces are written: the next batch is gathered after the last is done.
    private func pour(_ body: inout S3Inbound, into sink: BodySink) async throws {
        var batch: [ByteBuffer] = []
        var bytes = 0
        while let piece = try await body.nextPiece() {
            bytes += piece.readableBytes
            batch.append(piece)
            if bytes >= S3Service.batchBytes {
                let full = batch
                try await pool.runIfActive { try sink.append(full) }
                batch.removeAll(keepingCapacity: true)
                bytes = 0
            }
        }
        let last = batch
        if !last.isEmpty { try await pool.runIfActive { try sink.append(last) } }
    }
}
