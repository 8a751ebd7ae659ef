import Host
import NIOHTTP1

extension HTTPHeaders {
    /// Says who calls (RFC 6750, section 2.1); without a token, nobody.
    mutating func authorize(_ token: Secret?) {
        if let token { add(name: "authorization", value: "Bearer \(token.value)") }
    }
}
