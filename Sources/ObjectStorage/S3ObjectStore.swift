internal import AsyncHTTPClient
public import FunctionKit
public import Logging
public import NIOCore
internal import NIOHTTP1
internal import Synchronization

/// An object store that speaks the S3 API: AWS, MinIO, Ceph and the like.
///
/// Bodies go unsigned (`UNSIGNED-PAYLOAD`): TLS protects them where they need it, and hashing them would cost more than
/// sending them. Redirects are errors, since a signature is good for one host. Multipart uploads carry no checksums:
/// servers differ in how they join those of the parts, and a part has none in ``ObjectPart``.
public final class S3ObjectStore: ObjectStore, Sendable {
    /// The bucket's name.
    public var bucket: String { configuration.bucket }

    /// Replies with a thousand keys of a thousand bytes, each escaped, fit.
    static let maximumReplyBytes = 8 << 20
    private static let maximumErrorBytes = 64 << 10

    let configuration: S3Configuration
    let logger: Logger
    private let clients: S3HTTPClients
    private let location: S3Location
    private let signer: Mutex<SigV4Signer>

    /// Makes a store. Makes no connection.
    ///
    /// - Parameters:
    ///   - configuration: What to reach and how.
    ///   - eventLoopGroup: Runs the connections; `nil` for the process's shared one.
    ///   - logger: Gets retries, at debug level.
    public init(
        _ configuration: S3Configuration, eventLoopGroup: (any EventLoopGroup)? = nil, logger: Logger
    ) {
        self.configuration = configuration
        self.logger = logger
        location = S3Location(
            endpoint: configuration.endpoint, bucket: configuration.bucket, addressing: configuration.addressing)
        signer = Mutex(SigV4Signer(credentials: configuration.credentials, region: configuration.region))
        clients = S3HTTPClients(
            eventLoopGroup ?? HTTPClient.defaultEventLoopGroup,
            connectTimeout: min(configuration.timeout, .seconds(10)))
    }

    /// Closes the connections. Must be called before the store is let go; nothing can be sent afterwards.
    public func shutdown() async throws { try await clients.shutdown() }

    /// A URL with which anyone can GET the object until it expires. Makes no request.
    ///
    /// - Throws: ``S3Error`` with code `.invalidArgument`.
    public func presignedURL(for key: String, expiresIn: Duration, fileName: String?) throws -> String {
        try S3ObjectStore.check(key: key)
        let seconds = expiresIn.components.seconds
        guard (1...Int64(SigV4Signer.maximumExpirySeconds)).contains(seconds) else {
            throw S3Error(.invalidArgument, "a presigned URL is good for 1 second to 7 days")
        }
        let now = Timestamp.now
        let presigner = S3Presigner(
            endpoint: configuration.publicEndpoint, bucket: bucket, addressing: configuration.addressing,
            signer: preparedSigner(at: now))
        let query = fileName.map {
            [SigV4Parameter("response-content-disposition", S3ContentDisposition.attachment(fileName: $0))]
        }
        return presigner.url(key: key, query: query ?? [], expirySeconds: Int(seconds), at: now)
    }

    /// Checks that the bucket answers; tried once.
    public func check() async throws {
        let exchange = try await send(S3Request(operation: "HEAD bucket", method: .HEAD, key: nil))
        try await drain(exchange)
    }

    /// A key must be one that can stand in a URL.
    static func check(key: String) throws(S3Error) {
        guard (1...1024).contains(key.utf8.count), !key.utf8.contains(0) else {
            throw S3Error(.invalidArgument, "a key has 1 to 1024 bytes of UTF-8 and no NUL")
        }
    }

    // MARK: - Sending

    /// Signs and sends a request.
    ///
    /// - Returns: The exchange, whose head is one of success; the caller reads its body or abandons it.
    /// - Throws: ``S3Error``; `CancellationError` when the task was cancelled.
    func send(_ request: S3Request) async throws -> S3Exchange {
        if let key = request.key { try S3ObjectStore.check(key: key) }
        let exchange = S3Exchange(timeout: configuration.timeout)
        do {
            exchange.start(try signed(request), on: clients.next())
            let head = try await exchange.head()
            guard (200...299).contains(head.status.code) else {
                throw try await rejection(of: request, head: head, exchange: exchange)
            }
            return exchange
        } catch {
            exchange.abandon()
            throw S3ObjectStore.error(error, in: request.operation)
        }
    }

    /// Sends a request and reads the whole body of its reply.
    func sendAndCollect(_ request: S3Request) async throws -> (head: HTTPResponseHead, body: ByteBuffer) {
        let exchange = try await send(request)
        do {
            return (try await exchange.head(), try await exchange.collect(upTo: S3ObjectStore.maximumReplyBytes))
        } catch {
            exchange.abandon()
            throw S3ObjectStore.error(error, in: request.operation)
        }
    }

    /// Reads the end of a reply that has nothing to say.
    func drain(_ exchange: S3Exchange) async throws {
        do { _ = try await exchange.collect(upTo: S3ObjectStore.maximumErrorBytes) } catch {
            exchange.abandon()
            throw S3ObjectStore.error(error, in: "reading a reply")
        }
    }

    /// Tries again what may succeed a little later.
    func retrying<Value: Sendable>(_ operation: String, _ attempt: () async throws -> Value) async throws -> Value {
        var attemptNumber = 1
        while true {
            do {
                return try await attempt()
            } catch let error as S3Error where error.isTransient && attemptNumber < configuration.retry.attemptCount {
                let delay = configuration.retry.delay(after: attemptNumber, random: .random(in: 0...1))
                logger.debug(
                    "S3 request is tried again",
                    metadata: [
                        "operation": "\(operation)", "attempt": "\(attemptNumber)", "delay": "\(delay)",
                        "error": "\(error)",
                    ])
                try await Task.sleep(for: delay)
                attemptNumber += 1
            }
        }
    }

    private func preparedSigner(at time: Timestamp) -> SigV4Signer {
        signer.withLock { signer in
            signer = signer.prepared(for: time)
            return signer
        }
    }

    private func signed(_ request: S3Request) throws -> HTTPClient.Request {
        let now = Timestamp.now
        let path = location.path(key: request.key)
        let fields = [(name: "host", value: location.host)] + request.headers
        let added = preparedSigner(at: now).headers(
            method: request.method.rawValue, path: path, query: request.query, headers: fields,
            payload: request.payload, at: now)
        let query = request.query.map {
            SigV4Encoding.component($0.name) + ($0.value.isEmpty ? "" : "=\(SigV4Encoding.component($0.value))")
        }
        return try HTTPClient.Request(
            url: location.url(path: path, query: query.joined(separator: "&")), method: request.method,
            headers: HTTPHeaders((fields + added).map { ($0.name, $0.value) }), body: request.body?.streamed)
    }

    private func rejection(
        of request: S3Request, head: HTTPResponseHead, exchange: S3Exchange
    ) async throws -> S3Error {
        let status = Int(head.status.code)
        var reply: S3XMLElement?
        do {
            let body = try await exchange.collect(upTo: S3ObjectStore.maximumErrorBytes)
            reply = try S3XMLElement(parsing: body.readableBytesView)
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            // The status alone says enough; answers to HEAD have no body, and proxies send pages of their own.
            logger.trace("S3 error reply without a document", metadata: ["error": "\(error)"])
        }
        return S3ObjectStore.rejection(operation: request.operation, status: status, reply: reply)
    }

    /// The error of an `<Error>` document or of a bare status.
    static func rejection(operation: String, status: Int, reply: S3XMLElement?) -> S3Error {
        let code = reply.flatMap { $0.name == "Error" ? $0["Code"] : nil }.map { String($0.prefix(64)) }
        let detail = reply.flatMap { $0.name == "Error" ? $0["Message"] : nil }.map { String($0.prefix(300)) }
        var message = "\(operation) failed: \(status)\(code.map { " \($0)" } ?? "")"
        if (300...399).contains(status) { message += " (a redirect: the endpoint or the region is not the bucket's)" }
        return S3Error(.rejected, message, status: status, s3Code: code, detail: detail)
    }

    /// Any error as one that names the operation.
    static func error(_ error: any Error, in operation: String) -> any Error {
        switch error {
        case let error as S3Error where error.code == .timeout || error.code == .invalidResponse:
            S3Error(error.code, "\(operation) failed: \(error.message)", cause: error.cause)
        case is S3Error, is CancellationError: error
        case let error as HTTPClientError where timeouts.contains(error):
            S3Error(.timeout, "\(operation) failed: \(error.shortDescription)", cause: error)
        case let error as HTTPClientError:
            S3Error(.transport, "\(operation) failed: \(error.shortDescription)", cause: error)
        default: S3Error(.transport, "\(operation) failed: the store cannot be reached", cause: error)
        }
    }

    private static let timeouts: [HTTPClientError] = [
        .connectTimeout, .tlsHandshakeTimeout, .getConnectionFromPoolTimeout, .deadlineExceeded,
    ]
}
