import AsyncHTTPClient
import FunctionKit
import Host
import NIOCore
import NIOHTTP1
import ServiceLifecycle
import WebTokens

extension Core {
    /// What makes tickets and opens them.
    func makeTickets() throws -> TicketBox {
        if let secret = configuration.identity.ticketSecret { return try TicketBox(secret) }
        return try TicketBox(dataFolder: options.dataFolder)
    }

    /// The server's options, with the certificate in them.
    func makeHTTPOptions() throws -> HTTPServerOptions {
        var http = configuration.http
        http.tls = try configuration.tls.map { files in
            try naming("http.tls") { try TLSCertificates(certificate: files.certificate, key: files.key) }
        }
        return http
    }

    /// What stands before the functions, with the services that it needs.
    func makeGuards(
        _ stores: Stores, _ tickets: TicketBox, _ cleanup: inout Cleanup
    ) async throws -> (RequestGuards, [any Service]) {
        let keys = configuration.identity.mode == .jwt ? try await makeKeys(&cleanup) : nil
        let authenticator = Authenticator(configuration.identity, keys: keys, tickets: tickets)
        let limiter =
            configuration.hasLimits
            ? RateLimiter(configuration.limits, store: stores.redis, logger: logger) : nil
        return (RequestGuards(authenticator: authenticator, limiter: limiter), keys.map { [$0] } ?? [])
    }

    private func makeKeys(_ cleanup: inout Cleanup) async throws -> KeySource? {
        let refresh = configuration.identity.refresh
        switch configuration.identity.keys {
        case nil: return nil
        case .secret(let secret):
            let key = try await naming(
                "identity.jwt.secret", awaiting: { try await TokenKey(secret: secret.value) })
            return KeySource(fixed: TokenKeySet([key]))
        case .publicKey(let path):
            return try await naming(
                "identity.jwt.publicKey \(path)",
                awaiting: {
                    try await KeySource.file(path, refresh: refresh, logger: logger) { bytes in
                        try await TokenKeySet(pem: String(decoding: bytes, as: UTF8.self))
                    }
                })
        case .jwks(let place) where place.contains("://"):
            var settings = HTTPClient.Configuration()
            settings.redirectConfiguration = .disallow
            let client = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: settings)
            cleanup.add { try? await client.shutdown() }
            return KeySource(initial: nil, refresh: refresh, logger: logger) {
                let answer = try await client.execute(HTTPClientRequest(url: place), timeout: .seconds(5))
                guard answer.status == .ok else { throw CommandFailure("\(place) answers \(answer.status.code)") }
                let body = try await answer.body.collect(upTo: KeySource.maxBytes)
                return try await TokenKeySet(jwks: Array(body.readableBytesView))
            }
        case .jwks(let path):
            return try await naming(
                "identity.jwt.jwks \(path)",
                awaiting: {
                    try await KeySource.file(path, refresh: refresh, logger: logger) { bytes in
                        try await TokenKeySet(jwks: bytes)
                    }
                })
        }
    }
}
