import FunctionKit

/// The front door: a page for browsers, a short JSON text for everyone else.
struct Console: HTTPFunction {
    static let version = "0.1.0"

    func handle(_ request: Request, _ context: Context) async throws -> Response {
        var response = wantsPage(request) ? page() : summary()
        response.headers[.vary] = "Accept"
        return response
    }

    private func wantsPage(_ request: Request) -> Bool {
        (request.headers[.accept] ?? "").split(separator: ",").contains { range in
            range.split(separator: ";").first?.drop { $0 == " " }.lowercased().hasPrefix("text/html") ?? false
        }
    }

    private func summary() -> Response {
        var json = JSONWriter(capacity: 128)
        json.object { json in
            json.key("message")
            json.value("Ferry gathers files into one archive. POST /v1/download/initiate begins.")
            json.key("version")
            json.value(Self.version)
            json.key("docs")
            json.value("/docs")
        }
        return .json(encoded: json.buffer)
    }

    private func page() -> Response {
        var random = SystemRandomNumberGenerator()
        let nonce = String(random.next(), radix: 36) + String(random.next(), radix: 36)
        var response = Response.html(consolePage(nonce: nonce, version: Self.version))
        // 'self' covers sockets of this host and port too (CSP 3, section 6.7.2.8).
        response.headers[.contentSecurityPolicy] =
            "default-src 'none'; script-src 'nonce-\(nonce)'; style-src 'nonce-\(nonce)'; connect-src 'self'; "
            + "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        response.headers[.cacheControl] = "no-store"
        return response
    }
}
