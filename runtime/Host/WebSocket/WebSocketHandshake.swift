internal import FunctionKit

/// The opening handshake (RFC 6455 section 4.2).
enum WebSocketHandshake {
    /// What a client asks for.
    struct Offer: Sendable {
        /// The sub-protocols, the one that it likes best first.
        var protocols: [String] = []
    }

    /// Checks a request that is to become a socket.
    static func check(_ head: RequestHead, cors: CORSPolicy) throws(HTTPError) -> Offer {
        throw HTTPError(.notImplemented, message: "Sockets are not served.")
    }
}
