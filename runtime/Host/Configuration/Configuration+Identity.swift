internal import FunctionKit

extension Configuration {
    mutating func applyIdentity(_ root: StrictReader.Object, with reader: inout StrictReader) {
        let keys = ["mode", "header", "admins", "jwt", "ticketSecret"]
        guard let section = reader.object(root, "identity", keys: keys) else { return }
        set(&identity.mode, reader.choice(section, "mode"))
        let header = reader.value(section, "header", "the name of a header field, such as \"x-user-id\"") { json in
            json.string.flatMap { HTTPField.Name($0)?.canonicalName }
        }
        set(&identity.header, header)
        set(&identity.admins, reader.strings(section, "admins").map(Set.init))
        set(&identity.ticketSecret, secret(section, "ticketSecret", &reader))
        let jwtKeys = [
            "secret", "publicKey", "jwks", "issuer", "audience", "leeway", "adminClaim", "adminValue", "refresh",
        ]
        guard let jwt = reader.object(section, "jwt", keys: jwtKeys) else { return }
        set(&identity.secret, secret(jwt, "secret", &reader))
        set(&identity.publicKey, reader.string(jwt, "publicKey"))
        let jwks = reader.value(
            jwt, "jwks", "a file's path, or a URL that begins with https:// (http:// for this machine only)"
        ) { json in
            json.string.flatMap { Configuration.isKeyPlace($0) ? $0 : nil }
        }
        set(&identity.jwks, jwks)
        set(&identity.issuer, reader.string(jwt, "issuer"))
        set(&identity.audience, reader.string(jwt, "audience"))
        set(&identity.leeway, reader.duration(jwt, "leeway", in: .zero...(.seconds(300))))
        set(&identity.adminClaim, reader.string(jwt, "adminClaim"))
        set(&identity.adminValue, reader.string(jwt, "adminValue"))
        set(&identity.refresh, reader.duration(jwt, "refresh", in: .seconds(1)...(.seconds(86_400))))
    }

    /// What is wrong between keys, once file and environment are read.
    var identityProblem: String? {
        switch identity.mode {
        case .none: nil
        case .header:
            http.trustedProxies.isEmpty
                ? "identity.mode \"header\" needs http.trustedProxies: whose word counts" : nil
        case .jwt:
            identity.keys == nil
                ? "identity.mode \"jwt\" needs exactly one of identity.jwt.secret, .publicKey and .jwks" : nil
        }
    }

    func secret(
        _ section: StrictReader.Object, _ key: String, _ reader: inout StrictReader
    ) -> Secret? {
        guard let text = reader.string(section, key) else { return nil }
        guard text.utf8.count >= 32 else {
            reader.report(section.json, section.path(of: key), "must have at least 32 bytes")
            return nil
        }
        return Secret(text)
    }

    private static func isKeyPlace(_ text: String) -> Bool {
        guard text.contains("://") else { return !text.isEmpty }
        if text.hasPrefix("https://") { return true }
        return ["http://127.0.0.1", "http://[::1]", "http://localhost"].contains { host in
            guard text.hasPrefix(host) else { return false }
            let next = text.dropFirst(host.count).first
            return next == ":" || next == "/" || next == nil
        }
    }
}
