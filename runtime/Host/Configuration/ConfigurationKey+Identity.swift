internal import FunctionKit

extension ConfigurationKey {
    static let identities: [ConfigurationKey] = [
        ConfigurationKey("identity.mode", .choice, \.identity.mode),
        ConfigurationKey("identity.header", .fieldName, \.identity.header),
        ConfigurationKey("identity.admins", .users, \.identity.admins),
        ConfigurationKey(
            "identity.jwt.secret", .secret(leastBytes: 32), \.identity.secret,
            variables: ["FERRY_JWT_SECRET"]),
        ConfigurationKey("identity.jwt.publicKey", .text(), \.identity.publicKey),
        ConfigurationKey("identity.jwt.jwks", .keyPlace, \.identity.jwks),
        ConfigurationKey("identity.jwt.issuer", .text(), \.identity.issuer),
        ConfigurationKey("identity.jwt.audience", .text(), \.identity.audience),
        ConfigurationKey("identity.jwt.leeway", .duration(.zero...(.seconds(300))), \.identity.leeway),
        ConfigurationKey("identity.jwt.adminClaim", .text(), \.identity.adminClaim),
        ConfigurationKey("identity.jwt.adminValue", .text(), \.identity.adminValue),
        ConfigurationKey("identity.jwt.refresh", .duration(.seconds(1)...(.seconds(86_400))), \.identity.refresh),
        ConfigurationKey(
            "identity.ticketSecret", .secret(leastBytes: 32), \.identity.ticketSecret,
            variables: ["FERRY_TICKET_SECRET"]),
        ConfigurationKey("limits.enabled", .boolean, \.limits.isEnabled),
        ConfigurationKey("limits.onStoreFailure", .choice, \.limits.onStoreFailure),
        ConfigurationKey("limits.budgets", .budgets, \.limits.budgets),
    ]
}

extension ConfigurationForm where Value == String {
    fileprivate static var fieldName: Self {
        text("the name of a header field, such as \"x-user-id\"") { HTTPField.Name($0)?.canonicalName }
    }

    fileprivate static var keyPlace: Self {
        text(
            "a file's path, or a URL that begins with https:// (http:// for this machine only) and names no user",
            showsGiven: false
        ) { text in
            guard let scheme = ["https://", "http://"].first(where: text.hasPrefix) else {
                return text.contains("://") || text.isEmpty ? nil : text
            }
            let authority = text.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
            guard !authority.contains("@"), let address = HostAddress(scheme + authority) else { return nil }
            return address.isSecure || ["127.0.0.1", "::1", "localhost"].contains(address.host) ? text : nil
        }
    }
}

extension ConfigurationForm where Value == Set<String> {
    fileprivate static var users: Self {
        Self(
            .list, show: { .array($0.sorted().map { PositionedJSON(.string($0)) }) },
            read: { object, name, _, reader in
                reader.strings(object, name).map { Set($0) }
            })
    }
}

extension ConfigurationForm where Value == [String: Budget] {
    /// What is named of a budget that there is changes it; any other name adds one.
    fileprivate static var budgets: Self {
        Self(
            .object, show: show,
            read: { object, name, old, reader in
                guard let json = object.json[name] else { return nil }
                guard let members = json.members else {
                    reader.report(json, object.path(of: name), "must be an object, not \(json.kind)")
                    return nil
                }
                var budgets = old ?? [:]
                for member in members {
                    let path = "\(object.path(of: name)).\(member.key)"
                    guard !member.key.isEmpty, member.key.utf8.count <= 64, !member.key.contains(":") else {
                        reader.report(at: member.keyPosition, path, "must be a name of 1…64 bytes without colons")
                        continue
                    }
                    if let budget = read(member.value, path, budgets[member.key], &reader) {
                        budgets[member.key] = budget
                    }
                }
                return budgets
            })
    }

    private static func read(
        _ json: PositionedJSON, _ path: String, _ known: Budget?, _ reader: inout StrictReader
    ) -> Budget? {
        guard let budget = reader.object(json, path: path, keys: ["per", "count", "window"]) else { return nil }
        let holder: Budget.Holder? = reader.choice(budget, "per")
        let count = reader.integer(budget, "count", in: 1...1_000_000_000)
        let window = reader.duration(budget, "window", in: .seconds(1)...(.seconds(86_400 * 31)))
        if let holder = holder ?? known?.holder, let count = count ?? known?.count {
            return Budget(per: holder, count: count, window: window ?? known?.window)
        }
        for key in ["per", "count"] where budget.json[key] == nil {
            reader.report(json, "\(path).\(key)", "is required")
        }
        return nil
    }

    private static func show(_ budgets: [String: Budget]) -> PositionedJSON.Value? {
        let members = budgets.sorted { $0.key < $1.key }.map { name, budget in
            let members: [(String, PositionedJSON.Value?)] = [
                ("per", .string(budget.holder.rawValue)), ("count", .number("\(budget.count)")),
                ("window", budget.window.map { .string(UnitText.text($0)) }),
            ]
            return (name, PositionedJSON.Value?.some(PositionedJSON(object: members).value))
        }
        return PositionedJSON(object: members).value
    }
}
