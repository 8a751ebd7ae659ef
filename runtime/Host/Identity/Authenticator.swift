internal import FunctionKit
internal import WebTokens

/// Finds out who sends a request, and whether that is enough for a function.
public struct Authenticator: Sendable {
    private enum Way: Sendable {
        case none
        case header(HTTPField.Name)
        case jwt(TokenVerifier, KeySource)
    }

    private let way: Way
    private let admins: Set<String>
    private let adminValue: String
    private let tickets: TicketBox?

    /// Believes everybody: for development, and for listeners with a check of their own.
    public static let none = Authenticator(way: .none, admins: [], adminValue: "", tickets: nil)

    private init(way: Way, admins: Set<String>, adminValue: String, tickets: TicketBox?) {
        self.way = way
        self.admins = admins
        self.adminValue = adminValue
        self.tickets = tickets
    }

    /// Makes an authenticator.
    ///
    /// - Parameters:
    ///   - options: How it finds out.
    ///   - keys: The keys of tokens; needed for the mode `jwt`, which otherwise believes nobody.
    ///   - tickets: What opens tickets; without it none is accepted.
    public init(_ options: IdentityOptions, keys: KeySource? = nil, tickets: TicketBox? = nil) {
        let way: Way
        switch options.mode {
        case .none: way = .none
        case .header: way = HTTPField.Name(options.header).map { .header($0) } ?? .none
        case .jwt:
            let (seconds, attoseconds) = options.leeway.components
            let verifier = TokenVerifier(
                issuer: options.issuer, audience: options.audience,
                leewayMs: seconds * 1000 + attoseconds / 1_000_000_000_000_000, wantedClaim: options.adminClaim)
            way = .jwt(verifier, keys ?? KeySource(fixed: TokenKeySet([])))
        }
        self.init(way: way, admins: options.admins, adminValue: options.adminValue, tickets: tickets)
    }

    /// Whether nobody is asked for anything.
    var isOpen: Bool { if case .none = way { true } else { false } }

    /// Says who sends a request, as far as that can be told at once.
    ///
    /// - Parameters:
    ///   - head: The request's head.
    ///   - isTrustedPeer: Whether the connection is a trusted proxy's.
    ///   - subjects: What a ticket may be for; `nil` where none is accepted.
    /// - Returns: Who, or why not.
    func identify(_ head: RequestHead, isTrustedPeer: Bool, subjects: [String]?) -> Identification {
        switch way {
        case .none: return .known(.local)
        case .header(let name):
            if isTrustedPeer, head.fields.contains(name) {
                let values = head.fields[values: name]
                guard values.count == 1, let id = values.first, Authenticator.isID(id) else {
                    return .refused(HTTPError.malformed("The field \(name) must be one id of visible characters."))
                }
                return .known(User(id: id, isAdmin: admins.contains(id)))
            }
        case .jwt(let verifier, let keys):
            if let token = Authenticator.bearerToken(head.fields) { return identify(token, verifier, keys) }
        }
        guard let subjects, let tickets, let text = Authenticator.ticket(head.query) else { return .known(nil) }
        guard let user = tickets.user(of: text, subjects: subjects, at: .now) else {
            return .refused(challenge("invalid_token", "The ticket is wrong, has expired or is for something else."))
        }
        return .known(user)
    }

    /// Looks at the keys again, and says then who sends a request.
    func settle(_ head: RequestHead) async -> Identification {
        guard case .jwt(let verifier, let keys) = way, let token = Authenticator.bearerToken(head.fields) else {
            return .known(nil)
        }
        await keys.lookAgain()
        let found = identify(token, verifier, keys)
        guard case .unsettled = found else { return found }
        guard keys.current != nil else {
            return .refused(ErrorResponse.unavailable("The keys of tokens are away; try again soon."))
        }
        return .refused(challenge("invalid_token", "The token names a key that is unknown, or its signature is wrong."))
    }

    private func identify(_ token: String, _ verifier: TokenVerifier, _ keys: KeySource) -> Identification {
        guard let set = keys.current else { return .unsettled }
        let claims: TokenClaims
        do {
            claims = try verifier.verify(token, keys: set, nowMs: Timestamp.now.milliseconds)
        } catch {
            if error.code == .unknownKey, keys.canChange { return .unsettled }
            return .refused(challenge("invalid_token", error.message))
        }
        let isAdmin = admins.contains(claims.subject) || claims.values.contains(adminValue)
        return .known(
            User(
                id: claims.subject, isAdmin: isAdmin,
                expiresAt: Timestamp(milliseconds: claims.expiresAtMs + verifier.leewayMs)))
    }

    /// Whether a user is enough for a function.
    ///
    /// - Returns: The answer when not.
    func problem(of user: User?, for access: FunctionManifest.Access) -> HTTPError? {
        switch access {
        case .anonymous: return nil
        case .user: return user == nil ? challenge(nil, "This needs a user who is known.") : nil
        case .admin:
            guard let user else { return challenge(nil, "This needs an admin.") }
            guard !user.isAdmin else { return nil }
            var error = HTTPError(.forbidden, message: "This needs an admin.")
            if case .jwt = way {
                error.headers[.wwwAuthenticate] = #"Bearer realm="ferry", error="insufficient_scope""#
            }
            return error
        }
    }

    /// 401 with its challenge (RFC 6750 section 3). A request that tells nothing is told no error.
    private func challenge(_ code: String?, _ message: String) -> HTTPError {
        var field = #"realm="ferry""#
        if let code { field += #", error="\#(code)", error_description="\#(message)""# }
        let scheme = if case .jwt = way { "Bearer" } else { "Proxy-Identity" }
        return HTTPError(
            .unauthorized, code: code ?? "unauthorized", message: message,
            headers: [.wwwAuthenticate: "\(scheme) \(field)"])
    }

    /// The token of `Authorization: Bearer`; `nil` when there is none, or another scheme.
    private static func bearerToken(_ fields: HTTPFields) -> String? {
        guard let field = fields[.authorization], field.utf8.count >= 7, field.prefix(7).lowercased() == "bearer "
        else {
            return nil
        }
        return String(field.dropFirst(7).drop { $0 == " " })
    }

    /// The first `ticket` of a query. Tickets need no escapes.
    private static func ticket(_ query: String) -> String? {
        query.split(separator: "&").first { $0.hasPrefix("ticket=") }.map { String($0.dropFirst(7)) }
    }

    private static func isID(_ text: String) -> Bool {
        (1...256).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
