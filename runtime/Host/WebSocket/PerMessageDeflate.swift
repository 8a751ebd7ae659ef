/// What client and server agree on about compression (RFC 7692 section 7.1).
struct PerMessageDeflate: Equatable {
    static let name = "permessage-deflate"

    /// Whether the server's messages refer to earlier ones.
    var serverKeepsContext: Bool
    /// Whether the client's may.
    var clientKeepsContext: Bool
    /// The window of the server's compressor as a power of two.
    var serverWindowBits = 15
    /// Whether the client asked for a window.
    var saysWindowBits = false

    /// Takes the first offer that can be met.
    ///
    /// An offer with a parameter that is unknown, doubled or wrong is declined, and the next one is looked at.
    ///
    /// - Parameters:
    ///   - offers: What the client offers, the one it likes best first.
    ///   - keepsContext: Whether messages are to refer to earlier ones, unless the client declines.
    /// - Returns: What was agreed, or `nil` for no compression.
    static func accept(_ offers: [WebSocketExtension], keepsContext: Bool) -> PerMessageDeflate? {
        for offer in offers where offer.name == name {
            if let agreed = PerMessageDeflate(offer, keepsContext: keepsContext) { return agreed }
        }
        return nil
    }

    init(serverKeepsContext: Bool, clientKeepsContext: Bool) {
        self.serverKeepsContext = serverKeepsContext
        self.clientKeepsContext = clientKeepsContext
    }

    private init?(_ offer: WebSocketExtension, keepsContext: Bool) {
        self.init(serverKeepsContext: keepsContext, clientKeepsContext: keepsContext)
        var seen: Set<String> = []
        for (name, value) in offer.parameters {
            guard seen.insert(name).inserted else { return nil }
            switch (name, value) {
            case ("server_no_context_takeover", nil): serverKeepsContext = false
            case ("client_no_context_takeover", nil): clientKeepsContext = false
            case ("server_max_window_bits", let value?):
                guard let bits = Self.windowBits(value) else { return nil }
                serverWindowBits = bits
                saysWindowBits = true
            // The client's window may be as large as it likes, so this needs no answer.
            case ("client_max_window_bits", nil): break
            case ("client_max_window_bits", let value?):
                guard Self.windowBits(value) != nil else { return nil }
            default: return nil
            }
        }
    }

    private static func windowBits(_ value: String) -> Int? {
        // A decimal without leading zeros, so there are only these.
        (8...15).first { String($0) == value }
    }

    /// The element of `Sec-WebSocket-Extensions` that accepts the offer.
    var response: String {
        var response = PerMessageDeflate.name
        if !serverKeepsContext { response += "; server_no_context_takeover" }
        if !clientKeepsContext { response += "; client_no_context_takeover" }
        if saysWindowBits { response += "; server_max_window_bits=\(serverWindowBits)" }
        return response
    }
}
