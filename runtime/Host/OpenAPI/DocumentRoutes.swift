internal import FunctionKit
internal import NIOCore
internal import Synchronization

/// `/openapi.json` and `/docs`: made when the functions change, and kept.
final class DocumentRoutes: Sendable {
    static let document = "/openapi.json"
    static let page = "/docs"
    /// The paths; all are of `GET`.
    static let paths = [document, page]

    private struct Kept {
        let body: ByteBuffer
        let tag: String

        init(_ body: ByteBuffer) {
            self.body = body
            tag = "\"\(Digest.sha256(Array(body.readableBytesView)).prefix(16).hexadecimal)\""
        }
    }

    private let settings: OpenAPISettings
    private let kept: Mutex<Kept>
    private let page = Kept(ByteBuffer(string: DocsPage.html))

    init(_ settings: OpenAPISettings, _ functions: [FunctionRunner]) {
        self.settings = settings
        kept = Mutex(Self.make(settings, functions))
    }

    /// Tells of other functions from now on.
    func replace(_ functions: [FunctionRunner]) {
        let made = Self.make(settings, functions)
        kept.withLock { $0 = made }
    }

    /// The routes.
    var routes: [HostRoute] {
        [
            HostRoute("GET", Self.document) { [self] request in
                Self.answer(request, kept.withLock { $0 }, [.contentType: "application/json"])
            },
            HostRoute("GET", Self.page) { [self] request in
                Self.answer(
                    request, page,
                    [.contentType: "text/html; charset=utf-8", .contentSecurityPolicy: DocsPage.contentSecurityPolicy])
            },
        ]
    }

    private static func make(_ settings: OpenAPISettings, _ functions: [FunctionRunner]) -> Kept {
        let functions = functions.map { (name: $0.function.name, manifest: $0.function.manifest) }
        return Kept(OpenAPIDocument(functions, settings).bytes())
    }

    private static func answer(_ request: Request, _ kept: Kept, _ headers: HTTPFields) -> Response {
        let known = request.headers[values: .ifNoneMatch].joined(separator: ",").split(separator: ",").contains { tag in
            let text = tag.filter { $0 != " " && $0 != "\t" }
            return text == "*" || text == kept.tag || text == "W/\(kept.tag)"
        }
        var response = known ? Response(.notModified) : Response(.ok, headers: headers, body: kept.body)
        response.headers[.eTag] = kept.tag
        response.headers[.cacheControl] = "no-cache"
        return response
    }
}
