internal import Glibc

extension Configuration {
    mutating func applyAdmin(_ root: StrictReader.Object, with reader: inout StrictReader) {
        guard let section = reader.object(root, "admin", keys: ["listen", "token"]) else { return }
        let expected = "\"off\", \"unix:PATH\", or a port of a loopback address such as \"127.0.0.1:3001\""
        let listen = reader.value(section, "listen", expected) { json -> Admin.Listen? in
            guard let text = json.string else { return nil }
            if text == "off" { return .off }
            return ListenAddress(text).flatMap { $0.isLocal ? .address($0) : nil }
        }
        set(&admin.listen, listen)
        let least = AdminToken.minimumLength
        let token = reader.string(section, "token")
        guard let token else { return }
        guard token.utf8.count >= least, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            reader.report(
                section.json, section.path(of: "token"), "must be at least \(least) visible ASCII characters")
            return
        }
        admin.token = Secret(token)
    }
}

extension ListenAddress {
    /// Whether only this machine can reach it: a Unix socket, `127.0.0.0/8`, `::1`, `localhost`.
    var isLocal: Bool {
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
