import FunctionKit
import NIOCore
import Testing

@testable import Host

@Suite struct WebSocketHandshakeTests {
    private static let key = "dGhlIHNhbXBsZSBub25jZQ=="

    private func head(_ changes: [String: String?] = [:], line: String = "GET /s HTTP/1.1") throws -> RequestHead {
        var fields = [
            "Host": "server.example", "Upgrade": "websocket", "Connection": "keep-alive, Upgrade",
            "Sec-WebSocket-Key": Self.key, "Sec-WebSocket-Version": "13",
        ]
        for (name, value) in changes { fields[name] = value }
        let text = line + "\r\n" + fields.map { "\($0): \($1)\r\n" }.joined() + "\r\n"
        var buffer = ByteBuffer(string: text)
        var parser = RequestParser()
        guard case .head(let head) = parser.next(&buffer) else { throw HTTPError.malformed("test") }
        return head
    }

    private func check(
        _ changes: [String: String?] = [:], line: String = "GET /s HTTP/1.1", origins: CORSPolicy.Origins = .none
    ) throws -> WebSocketHandshake {
        try WebSocketHandshake(try head(changes, line: line), cors: CORSPolicy(origins: origins))
    }

    private func refusal(
        _ changes: [String: String?] = [:], line: String = "GET /s HTTP/1.1", origins: CORSPolicy.Origins = .none
    ) -> HTTPError? {
        do {
            _ = try check(changes, line: line, origins: origins)
            return nil
        } catch { return error as? HTTPError }
    }

    @Test func `the standard's example is accepted`() throws {
        let handshake = try check(["Sec-WebSocket-Protocol": "chat, superchat", "Upgrade": "h2c, WebSocket"])
        #expect(handshake.acceptKey == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(handshake.protocols == ["chat", "superchat"])
        var answer = ByteBuffer()
        handshake.writeAnswer(
            protocol: "chat", deflate: PerMessageDeflate(serverKeepsContext: false, clientKeepsContext: false),
            requestID: "r", into: &answer)
        #expect(
            String(buffer: answer) == """
                HTTP/1.1 101 Switching Protocols\r
                upgrade: websocket\r
                connection: upgrade\r
                sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r
                sec-websocket-protocol: chat\r
                sec-websocket-extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r
                x-request-id: r\r
                \r

                """)
    }

    @Test(
        arguments: [
            (["Upgrade": nil], 426), (["Upgrade": "h2c"], 426), (["Connection": "keep-alive"], 426),
            (["Sec-WebSocket-Version": nil], 426), (["Sec-WebSocket-Version": "8"], 426),
            (["Sec-WebSocket-Key": nil], 400), (["Sec-WebSocket-Key": "c2hvcnQ="], 400),
            (["Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZ!=="], 400), (["Content-Length": "3"], 400),
            (["Sec-WebSocket-Extensions": "permessage-deflate; a=\"b c\""], 400),
            (["Sec-WebSocket-Extensions": "a b"], 400), (["Sec-WebSocket-Protocol": "a, b c"], 400),
            (["Sec-WebSocket-Protocol": "a, a"], 400),
        ] as [([String: String?], Int)])
    func `what is no handshake is refused`(changes: [String: String?], status: Int) {
        let error = refusal(changes)
        #expect(error?.status.code == status)
        if status == 426 {
            #expect(error?.headers[.webSocketVersion] == "13")
        }
    }

    @Test func `HTTP 1.0 is refused`() {
        #expect(refusal(line: "GET /s HTTP/1.0")?.status.code == 426)
    }

    @Test(
        arguments: [
            ("http://server.example", true), ("https://server.example", true), ("http://server.example:80", true),
            ("HTTP://SERVER.example", true), ("https://server.example:443", true), ("http://server.example:443", false),
            ("https://server.example:80", false), ("http://other.example", false), ("null", false), ("", false),
            ("http://server.example.evil", false), ("http://server.example:8080", false),
            ("ftp://server.example", false),
        ])
    func `a page opens sockets to its own host only`(origin: String, isAllowed: Bool) {
        #expect((refusal(["Origin": origin]) == nil) == isAllowed)
        #expect(refusal(["Origin": origin], origins: .any) == nil)
        #expect(refusal(["Origin": origin], origins: .list([origin])) == nil)
    }

    @Test func `a port that is the scheme's own need not be said`() {
        #expect(refusal(["Origin": "http://server.example", "Host": "Server.example:80"]) == nil)
        #expect(refusal(["Origin": "https://server.example", "Host": "server.example:443"]) == nil)
        #expect(refusal(["Origin": "https://server.example", "Host": "server.example:80"]) != nil)
        #expect(refusal(["Origin": "http://server.example:81", "Host": "server.example:81"]) == nil)
    }

    @Test func `an origin that may not is told so before anything else`() {
        let error = refusal(["Origin": "http://other.example", "Upgrade": nil, "Sec-WebSocket-Key": nil])
        #expect(error?.status.code == 403)
    }

    private static let refused = "-"

    @Test(
        arguments: [
            ("permessage-deflate", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits=10", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits=\"10\"", "permessage-deflate"),
            ("permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
            ("permessage-deflate;client_no_context_takeover", "permessage-deflate; client_no_context_takeover"),
            ("permessage-deflate; server_max_window_bits=9", "permessage-deflate; server_max_window_bits=9"),
            ("permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=8"),
            ("permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"),
            ("Permessage-Deflate; Server_Max_Window_Bits=12", "permessage-deflate; server_max_window_bits=12"),
            ("x-webkit-deflate-frame, permessage-deflate", "permessage-deflate"),
            (", permessage-deflate,,", "permessage-deflate"),
            ("permessage-deflate; server_max_window_bits=7", refused),
            ("permessage-deflate; server_max_window_bits=16", refused),
            ("permessage-deflate; server_max_window_bits=09", refused),
            ("permessage-deflate; server_max_window_bits", refused),
            ("permessage-deflate; client_max_window_bits=16", refused),
            ("permessage-deflate; client_max_window_bits=x", refused),
            ("permessage-deflate; server_no_context_takeover=1", refused),
            ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", refused),
            ("permessage-deflate; unknown", refused), ("permessage-bzip2", refused), ("", refused),
            (
                "permessage-deflate; unknown, permessage-deflate; server_max_window_bits=x, permessage-deflate; server_no_context_takeover",
                "permessage-deflate; server_no_context_takeover"
            ),
        ])
    func `offers of compression are taken or declined`(offers: String, response: String) throws {
        let extensions = try #require(WebSocketExtension.parse(offers))
        let agreed = PerMessageDeflate.accept(extensions, keepsContext: true)
        #expect((agreed?.response ?? Self.refused) == response)
        let without = PerMessageDeflate.accept(extensions, keepsContext: false)
        #expect((without == nil) == (agreed == nil))
        if let without { #expect(!without.serverKeepsContext && !without.clientKeepsContext) }
    }
}
