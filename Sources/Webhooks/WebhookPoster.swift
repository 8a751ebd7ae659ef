public import FunctionKit
internal import NIOCore
internal import NIOHTTP1
public import NIOPosix
public import NIOSSL
internal import WebTokens

/// Calls receivers.
///
/// A URL is someone else's word, so the host's own network is kept from it. The name is looked up once, every address that
/// it has is judged by the rules, and the connection goes to one of these very addresses: there is no second look, which
/// could bring another answer. Certificates are checked against the name, and no redirect is followed. Each message has a
/// connection of its own.
///
/// An HTTP client with a pool was not taken: it looks names up itself, and a call would be as safe as its table of
/// overrides is exact.
public final class WebhookPoster: WebhookClient, Sendable {
    /// What bounds the calls.
    public struct Options: Sendable {
        /// Which addresses are called.
        public var rules = AddressRules()
        /// Whether `http://` is called too.
        public var allowsHTTP = false
        /// How long a call may take, with the look for the address.
        public var timeout: Duration = .seconds(10)

        /// The defaults.
        public init() {}
    }

    /// So many addresses of a name are tried.
    private static let addressLimit = 3

    private let options: Options
    private let signer: WebhookSigner
    private let tls: NIOSSLContext
    private let group: MultiThreadedEventLoopGroup
    private let names = NameLookup()

    /// Makes a client.
    ///
    /// - Parameters:
    ///   - secret: What messages are signed with, at least 32 bytes.
    ///   - options: What bounds the calls.
    ///   - tls: How receivers are trusted.
    ///   - group: The loops of the connections.
    /// - Throws: When the secret is shorter, or when TLS cannot be set up.
    public init(
        secret: [UInt8], options: Options, tls: TLSConfiguration = .makeClientConfiguration(),
        group: MultiThreadedEventLoopGroup
    ) throws {
        self.options = options
        self.group = group
        signer = try WebhookSigner(secret: secret)
        var tls = tls
        tls.minimumTLSVersion = .tlsv12
        self.tls = try NIOSSLContext(configuration: tls)
    }

    /// Ends the threads of the look for names; calls that come later fail.
    public func shutdown() async throws { try await names.shutdown() }

    /// See ``FunctionKit/WebhookClient``.
    public func problem(with url: String) -> String? {
        do {
            let url = try WebhookURL(url)
            guard url.isSecure || options.allowsHTTP else { return "must begin with https://" }
            if let address = url.literal, !options.rules.allows(address) { return "must not lead to this address" }
            return nil
        } catch {
            return error.text
        }
    }

    /// See ``FunctionKit/WebhookClient``.
    public func post(_ message: WebhookMessage) async throws -> WebhookAnswer {
        if let problem = problem(with: message.url) { throw WebhookFailure(.refused, "the URL \(problem)") }
        guard let url = try? WebhookURL(message.url) else { throw WebhookFailure(.refused, "the URL is none") }
        let deadline = ContinuousClock.now + options.timeout
        var addresses: [NetworkAddress]
        if let literal = url.literal {
            addresses = [literal]
        } else {
            addresses = try await names.addresses(of: url.host, within: options.timeout)
        }
        // One that is not called spoils the name: it may be the one that is meant.
        for address in addresses where !options.rules.allows(address) {
            throw WebhookFailure(.refused, "\(url.host) leads to \(address)")
        }
        addresses = Array(addresses.prefix(WebhookPoster.addressLimit))
        var failure = WebhookFailure(.unreachable, url.host)
        for (index, address) in addresses.enumerated() {
            try Task.checkCancellation()
            let left = deadline - .now
            guard left > .zero else { throw WebhookFailure(.timeout, "\(url.host) could not be reached in time") }
            do {
                return try await exchange(
                    message, url, address, connectTimeout: left / (addresses.count - index), deadline: left)
            } catch let error as WebhookFailure where error.reason == .unreachable {
                failure = error
            }
        }
        throw failure
    }

    private func exchange(
        _ message: WebhookMessage, _ url: WebhookURL, _ address: NetworkAddress, connectTimeout: Duration,
        deadline: Duration
    ) async throws -> WebhookAnswer {
        let target = try SocketAddress(packedIPAddress: ByteBuffer(bytes: address.bytes), port: url.port)
        let loop = group.next()
        let promise = loop.makePromise(of: WebhookAnswer.self)
        let end = NIODeadline.now() + TimeAmount(deadline)
        let head = head(of: message, url)
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(TimeAmount(connectTimeout))
            .channelInitializer { [tls] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if url.isSecure {
                        // Without a name the certificate must be for the address.
                        let name = url.literal == nil ? url.host : nil
                        try pipeline.addHandler(try NIOSSLClientHandler(context: tls, serverHostname: name))
                    }
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(WebhookExchange(head, message.body, deadline: end, promise: promise))
                }
            }
        let channel: any Channel
        do {
            channel = try await bootstrap.connect(to: target).get()
        } catch {
            let failure = WebhookFailure(.unreachable, "\(target): \(error)")
            // Where the handler was never there nobody else does.
            promise.fail(failure)
            throw failure
        }
        return try await withTaskCancellationHandler {
            do {
                return try await promise.futureResult.get()
            } catch {
                try Task.checkCancellation()
                throw error
            }
        } onCancel: {
            channel.close(promise: nil)
        }
    }

    private func head(of message: WebhookMessage, _ url: WebhookURL) -> HTTPRequestHead {
        let seconds = Timestamp.now.milliseconds / 1000
        let signature = signer.signature(of: message.body.readableBytesView, at: seconds)
        return HTTPRequestHead(
            version: .http1_1, method: .POST, uri: url.target,
            headers: [
                "Host": url.authority, "Content-Type": "application/json",
                "Content-Length": String(message.body.readableBytes), "Connection": "close", "User-Agent": "ferry",
                "Accept": "*/*", "Ferry-Id": message.id, "Ferry-Attempt": String(message.attempt),
                "Ferry-Timestamp": String(seconds), "Ferry-Signature": signature,
            ])
    }
}
