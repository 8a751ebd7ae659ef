extension Configuration {
    mutating func applyHistory(_ root: StrictReader.Object, with reader: inout StrictReader) {
        let keys = ["path", "url", "connections", "timeout"]
        guard let section = reader.object(root, "history", keys: keys) else { return }
        set(&history.path, reader.string(section, "path"))
        if let json = section.json["url"] {
            if let text = json.string, Configuration.isPostgreSQLURL(text) {
                history.url = Secret(text)
            } else {
                // The value is not shown: it may hold a password in spite of all.
                reader.report(
                    json, section.path(of: "url"),
                    "must be a URL that begins with postgresql:// or postgres://, in whose user and password \"@\", \"/\" and "
                        + "\"?\" are percent-encoded")
            }
        }
        set(&history.connectionCount, reader.integer(section, "connections", in: 1...64))
        set(&history.timeout, reader.duration(section, "timeout", in: .milliseconds(100)...(.seconds(60))))
    }

    /// What stands before the first raw `/` or `?` is user, password and host; an `@` behind it, or a second one, shows a
    /// password that is not encoded, and libpq would take a part of it for the host's name.
    private static func isPostgreSQLURL(_ text: String) -> Bool {
        guard let scheme = ["postgresql://", "postgres://"].first(where: text.hasPrefix) else { return false }
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let count = rest.count { $0 == "@" }
        return count <= 1 && count == authority.count { $0 == "@" }
    }
}
