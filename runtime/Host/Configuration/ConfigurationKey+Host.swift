internal import Glibc

extension ConfigurationKey {
    static let host: [ConfigurationKey] = [
        ConfigurationKey("admin.listen", .adminAddress, \.admin.listen),
        ConfigurationKey("admin.token", .adminToken, \.admin.token),
        ConfigurationKey("record.redact", .redactedWords, \.record.redact),
        ConfigurationKey("record.maxFiles", .integer(1...100_000), \.record.limits.fileCount),
        ConfigurationKey("record.maxSize", .size(1 << 10...64 << 30), \.record.limits.totalBytes),
        ConfigurationKey("record.maxFileSize", .size(1 << 10...16 << 20), \.record.limits.fileBytes),
        ConfigurationKey("isolation.maxProcesses", .integer(1...256), \.isolation.maxProcesses),
        ConfigurationKey(
            "isolation.idleTime", .duration(.milliseconds(100)...(.seconds(86_400))), \.isolation.idleTime),
        ConfigurationKey("isolation.openFiles", .integer(128...1_000_000), \.isolation.openFiles),
    ]

    static let logs: [ConfigurationKey] = [
        ConfigurationKey("log.level", .choice, \.log.level, .direct),
        ConfigurationKey("log.format", .choice, \.log.format),
        ConfigurationKey("log.file", .boolean, \.log.file),
        ConfigurationKey("log.keep", .size(64 << 10...1 << 30), \.log.keptBytes),
    ]
}

extension ConfigurationForm where Value == Configuration.Admin.Listen {
    fileprivate static var adminAddress: Self {
        let expected = "\"off\", \"unix:PATH\", or a port of a loopback address such as \"127.0.0.1:3001\""
        let show: Show = { listen in
            switch listen {
            case .automatic: nil
            case .off: .string("off")
            case .address(let address): .string("\(address)")
            }
        }
        return Self(
            .text, show: show,
            read: { object, name, _, reader in
                reader.value(object, name, expected) { json in
                    guard let text = json.string else { return nil }
                    if text == "off" { return .off }
                    return ListenAddress(text).flatMap { $0.isLocal ? .address($0) : nil }
                }
            })
    }
}

extension ConfigurationForm where Value == Secret {
    fileprivate static var adminToken: Self {
        secret { token in
            let least = AdminToken.minimumLength
            let isVisible = token.utf8.allSatisfy { (0x21...0x7E).contains($0) }
            return isVisible && token.utf8.count >= least ? nil : "must be at least \(least) visible ASCII characters"
        }
    }
}

extension ConfigurationForm where Value == [String] {
    fileprivate static var redactedWords: Self {
        texts("an array of texts with a letter or a digit in each") { $0.contains { $0.isLetter || $0.isNumber } }
    }
}

extension ListenAddress {
    /// Whether only this machine can reach it: a Unix socket, `127.0.0.0/8`, `::1`, `localhost`.
    public var isLocal: Bool {
        switch self {
        case .unix: return true
        case .inherited: return false
        case .tcp("::1", _), .tcp("localhost", _): return true
        case .tcp(let host, _):
            var address = in_addr()
            return host.hasPrefix("127.") && inet_pton(AF_INET, host, &address) == 1
        }
    }
}
