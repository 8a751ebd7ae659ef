internal import COpenSSL
internal import FunctionKit
internal import NIOCore

/// The opening handshake (RFC 6455 section 4.2) without I/O: what a request asks for, and what accepts it.
struct WebSocketHandshake: Equatable {
    /// The value of `Sec-WebSocket-Accept`.
    let acceptKey: String
    /// The sub-protocols that the client offers, the one it likes best first.
    let protocols: [String]
    /// The extensions that the client offers, likewise.
    let extensions: [WebSocketExtension]

    /// Reads a request for an upgrade.
    ///
    /// - Parameters:
    ///   - head: The request's head.
    ///   - cors: Which other origins may open sockets.
    /// - Throws: 403 for a page of another origin, whatever else the request says; 426 for what is no such request or
    ///   of another version, with what would be one; 400 for one that breaks the protocol.
    init(_ head: RequestHead, cors: CORSPolicy) throws(HTTPError) {
        let fields = head.fields
        guard Self.isAllowed(origins: fields[values: .origin], host: fields[.hostField], cors) else {
            throw HTTPError(
                .forbidden, code: "origin_not_allowed", message: "Pages of this origin may not open sockets here.")
        }
        guard head.isHTTP11, Self.list(fields[.upgrade], has: "websocket"),
            Self.list(fields[.connection], has: "upgrade")
        else {
            throw HTTPError(
                .upgradeRequired, message: "This path is for WebSocket connections.", headers: Self.upgradeHeaders)
        }
        guard fields[.webSocketVersion] == "13" else {
            throw HTTPError(
                .upgradeRequired, message: "Only version 13 of the WebSocket protocol is spoken here.",
                headers: Self.upgradeHeaders)
        }
        guard head.method == .get, head.framing == .none else {
            throw HTTPError.malformed("An upgrade to WebSocket is a GET without a body.")
        }
        guard let key = fields[.webSocketKey], Self.isKey(key) else {
            throw HTTPError.malformed("Sec-WebSocket-Key is not the base64 form of 16 bytes.")
        }
        guard let extensions = WebSocketExtension.parse(fields[.webSocketExtensions] ?? "") else {
            throw HTTPError.malformed("Sec-WebSocket-Extensions cannot be understood.")
        }
        guard let protocols = Self.protocols(fields[.webSocketProtocol]) else {
            throw HTTPError.malformed("Sec-WebSocket-Protocol is not a list of different tokens.")
        }
        acceptKey = Self.accept(key)
        self.protocols = protocols
        self.extensions = extensions
    }

    private static let upgradeHeaders: HTTPFields = [.webSocketVersion: "13"]

    /// Writes the answer that accepts. It has no header fields of handlers', since a browser shows pages none.
    func writeAnswer(
        protocol chosen: String?, deflate: PerMessageDeflate?, requestID: String, into buffer: inout ByteBuffer
    ) {
        buffer.writeStaticString("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n")
        buffer.writeString("sec-websocket-accept: \(acceptKey)\r\n")
        if let chosen { buffer.writeString("sec-websocket-protocol: \(chosen)\r\n") }
        if let deflate { buffer.writeString("sec-websocket-extensions: \(deflate.response)\r\n") }
        buffer.writeString("x-request-id: \(requestID)\r\n\r\n")
    }

    /// Whether a page may: browsers send `Origin` with every socket, and CORS does not hold sockets back.
    private static func isAllowed(origins: [String], host: String?, _ cors: CORSPolicy) -> Bool {
        guard let origin = origins.first else { return true }
        guard origins.count == 1 else { return false }
        switch cors.origins {
        case .any: return true
        case .list(let list) where list.contains(origin): return true
        case .list, .none: return isSame(origin.lowercased(), host: host?.lowercased() ?? "")
        }
    }

    /// Whether an origin is that of the host: the same name and port, where the scheme's own need not be said.
    private static func isSame(_ origin: String, host: String) -> Bool {
        for (scheme, port) in [("http://", ":80"), ("https://", ":443")] where origin.hasPrefix(scheme) {
            let authority = origin.dropFirst(scheme.count)
            return !authority.isEmpty && (authority == host || authority + port == host || authority == host + port)
        }
        return false
    }

    private static func list(_ value: String?, has word: StaticString) -> Bool {
        guard var value else { return false }
        var isFound = false
        value.withUTF8 { bytes in
            HTTPBytes.forEachElement(UnsafeRawBufferPointer(bytes)) { element in
                if HTTPBytes.equals(element, word) { isFound = true }
            }
        }
        return isFound
    }

    /// The sub-protocols of a field `Sec-WebSocket-Protocol`; `nil` when it is no list of different tokens.
    static func protocols(_ value: String?) -> [String]? {
        guard var value else { return [] }
        var protocols: [String] = []
        var isList = true
        value.withUTF8 { bytes in
            HTTPBytes.forEachElement(UnsafeRawBufferPointer(bytes)) { element in
                let name = String(decoding: element, as: UTF8.self)
                isList = isList && element.allSatisfy(HTTPBytes.isToken) && !protocols.contains(name)
                if !name.isEmpty { protocols.append(name) }
            }
        }
        return isList ? protocols : nil
    }

    /// Whether this is base64 of 16 bytes: 22 characters and two of padding.
    private static func isKey(_ key: String) -> Bool {
        let bytes = key.utf8
        guard bytes.count == 24, key.hasSuffix("==") else { return false }
        return bytes.dropLast(2).allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                true
            default: false
            }
        }
    }

    /// The base64 form of the SHA-1 of the key and a fixed text (section 4.2.2, step 5.4).
    static func accept(_ key: String) -> String {
        let text = Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)
        var digest = [UInt8](repeating: 0, count: Int(SHA_DIGEST_LENGTH))
        _ = SHA1(text, text.count, &digest)
        var encoded = [UInt8](repeating: 0, count: 29)
        let count = EVP_EncodeBlock(&encoded, digest, CInt(digest.count))
        return String(decoding: encoded.prefix(Int(count)), as: UTF8.self)
    }
}

extension HTTPField.Name {
    static let hostField = HTTPField.Name(known: "host")
    static let webSocketKey = HTTPField.Name(known: "sec-websocket-key")
    static let webSocketVersion = HTTPField.Name(known: "sec-websocket-version")
    static let webSocketProtocol = HTTPField.Name(known: "sec-websocket-protocol")
    static let webSocketExtensions = HTTPField.Name(known: "sec-websocket-extensions")
}
