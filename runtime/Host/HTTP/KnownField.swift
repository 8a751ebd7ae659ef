internal import FunctionKit

/// The header fields that clients send most, so that their names need not be made anew for each request.
struct KnownField {
    /// What the host itself makes of a field.
    enum Role {
        case none
        case connection
        case contentLength
        case expect
        case host
        case origin
        case requestID
        case traceParent
        case transferEncoding
    }

    let name: HTTPField.Name
    let role: Role
    private let bytes: [UInt8]

    private init(_ name: HTTPField.Name, _ role: Role = .none) {
        self.name = name
        self.role = role
        bytes = Array(name.canonicalName.utf8)
    }

    /// Finds a name, whatever its case. The bytes are those of a token (RFC 9110 section 5.6.2).
    static func find(_ token: UnsafeRawBufferPointer) -> KnownField? {
        guard token.count < byLength.count else { return nil }
        candidates: for candidate in byLength[token.count] {
            for index in 0..<token.count where token[index] | 0x20 != candidate.bytes[index] { continue candidates }
            return candidate
        }
        return nil
    }

    private static let byLength: [[KnownField]] = {
        let longest = all.map(\.bytes.count).max() ?? 0
        return (0...longest).map { length in all.filter { $0.bytes.count == length } }
    }()

    private static let all: [KnownField] =
        [
            KnownField(.connection, .connection),
            KnownField(.contentLength, .contentLength),
            KnownField(.expect, .expect),
            KnownField(.origin, .origin),
            KnownField(.transferEncoding, .transferEncoding),
            KnownField(.accept), KnownField(.acceptEncoding), KnownField(.acceptLanguage), KnownField(.authorization),
            KnownField(.cacheControl), KnownField(.contentType), KnownField(.cookie), KnownField(.ifModifiedSince),
            KnownField(.ifNoneMatch), KnownField(.range), KnownField(.referer),
            KnownField(.upgrade), KnownField(.userAgent),
        ]
        + ([
            ("host", Role.host), ("x-request-id", .requestID), ("traceparent", .traceParent), ("tracestate", .none),
            ("x-forwarded-for", .none), ("x-forwarded-proto", .none), ("x-forwarded-host", .none),
            ("x-real-ip", .none), ("idempotency-key", .none), ("last-event-id", .none), ("dnt", .none),
            ("pragma", .none),
            ("sec-fetch-dest", .none), ("sec-fetch-mode", .none), ("sec-fetch-site", .none), ("sec-fetch-user", .none),
            ("sec-ch-ua", .none), ("sec-ch-ua-mobile", .none), ("sec-ch-ua-platform", .none), ("priority", .none),
            ("upgrade-insecure-requests", .none),
            ("sec-websocket-key", .none), ("sec-websocket-version", .none), ("sec-websocket-protocol", .none),
            ("sec-websocket-extensions", .none),
        ] as [(StaticString, Role)]).map { KnownField(HTTPField.Name(known: $0), $1) }
}

extension HTTPField.Name {
    static let xForwardedFor = HTTPField.Name(known: "x-forwarded-for")
    static let xForwardedProto = HTTPField.Name(known: "x-forwarded-proto")

    /// A name that is a token beyond doubt.
    init(known name: StaticString) {
        guard let parsed = HTTPField.Name(name.description) else { preconditionFailure("\(name) is no token.") }
        self = parsed
    }
}
