internal import FunctionKit

/// Which pages of other origins may read the answers.
public struct CORSPolicy: Sendable, Hashable {
    /// The origins that may.
    public enum Origins: Sendable, Hashable {
        /// None: no header is sent.
        case none
        /// All, without credentials.
        case any
        /// These, exactly as browsers send them (`https://app.example`), with credentials.
        case list(Set<String>)
    }

    /// The origins that may.
    public var origins: Origins
    /// The request headers that a page may set.
    public var allowedHeaders: String
    /// How long a browser may keep the answer to a preflight.
    public var maxAge: Duration

    /// Makes a policy; the default lets no other origin in.
    public init(
        origins: Origins = .none,
        allowedHeaders: String =
            "authorization, content-type, idempotency-key, if-none-match, last-event-id, traceparent, tracestate, x-request-id",
        maxAge: Duration = .seconds(600)
    ) {
        self.origins = origins
        self.allowedHeaders = allowedHeaders
        self.maxAge = maxAge
    }

    /// The answer headers that a page may read.
    static let exposedHeaders =
        "Location, Retry-After, ETag, x-request-id, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"

    /// Adds what an answer to this origin carries.
    func add(to headers: inout HTTPFields, origin: String?) {
        switch origins {
        case .none: return
        case .any:
            guard origin != nil else { return }
            headers[.accessControlAllowOrigin] = "*"
        case .list(let list):
            headers.append(HTTPField(name: .vary, value: "Origin"))
            guard let origin, list.contains(origin) else { return }
            headers[.accessControlAllowOrigin] = origin
            headers[.accessControlAllowCredentials] = "true"
        }
        headers[.accessControlExposeHeaders] = CORSPolicy.exposedHeaders
    }

    /// Adds what the answer to a preflight carries besides.
    func addPreflight(to headers: inout HTTPFields, origin: String, methods: String) {
        let isAllowed =
            switch origins {
            case .none: false
            case .any: true
            case .list(let list): list.contains(origin)
            }
        guard isAllowed else { return }
        headers[.accessControlAllowMethods] = methods
        headers[.accessControlAllowHeaders] = allowedHeaders
        headers[.accessControlMaxAge] = String(maxAge.components.seconds)
    }
}
