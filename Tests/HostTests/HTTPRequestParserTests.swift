import FunctionKit
import NIOCore
import Testing

@testable import Host

struct HTTPRequestParserTests {
    /// What a parser makes of some bytes.
    private struct Outcome: Equatable {
        var requests: [String] = []
        var status: Int?
    }

    private func parse(_ pieces: [ByteBuffer], _ limits: RequestParser.Limits = .init()) -> Outcome {
        var parser = RequestParser(limits)
        var outcome = Outcome()
        var pending = ByteBuffer()
        var current = ""
        var body = ""
        func finish() {
            outcome.requests.append(current + (body.isEmpty ? "" : " [\(body)]"))
            body = ""
        }
        for piece in pieces {
            pending.writeImmutableBuffer(piece)
            events: while true {
                switch parser.next(&pending) {
                case .needsMore: break events
                case .head(let head):
                    current = "\(head.method) \(head.path)\(head.query.isEmpty ? "" : "?" + head.query)"
                    if head.framing == .none { finish() }
                case .body(let bytes): body += String(buffer: bytes)
                case .end: finish()
                case .failed(let error):
                    outcome.status = error.status.code
                    return outcome
                }
            }
        }
        return outcome
    }

    /// Whole, and cut at every byte: the outcome must be the same.
    private func parse(_ text: String, _ limits: RequestParser.Limits = .init()) -> Outcome {
        let whole = ByteBuffer(string: text)
        let outcome = parse([whole], limits)
        #expect(parse(whole.readableBytesView.map { ByteBuffer(bytes: [$0]) }, limits) == outcome)
        for cut in 0...whole.readableBytes {
            var rest = whole
            let pieces = [rest.readSlice(length: cut) ?? rest, rest]
            #expect(parse(pieces, limits) == outcome, "cut at \(cut)")
        }
        return outcome
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", ["GET /"]),
        ("\r\n\r\nGET /x?y=1 HTTP/1.1\r\nHOST:a:80\r\n\r\n", ["GET /x?y=1"]),
        ("GET / HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", ["GET /", "GET /2"]),
        ("GET / HTTP/1.7\r\nHost: [::1]:80\r\n\r\n", ["GET /"]),
        ("GET http://host:80/a/b?c HTTP/1.1\r\nHost: a\r\n\r\n", ["GET /a/b?c"]),
        ("GET HTTP://host?c HTTP/1.1\r\nHost:\r\n\r\n", ["GET /?c"]),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", ["OPTIONS *"]),
        ("X-Y!z / HTTP/1.1\r\nHost: a\r\nA:\r\nB: \t x y\t \r\n\r\n", ["X-Y!z /"]),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            ["POST / [abc]", "GET /"]
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 000\r\n\r\n", ["POST /"]),
        (
            "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\n\r\n3;x=\"y\";z\r\nabc\r\n0A ; q\r\n0123456789\r\n00\r\nT: 1\r\n\r\nGET /n HTTP/1.1\r\nHost: a\r\n\r\n",
            ["POST / [abc0123456789]", "GET /n"]
        ),
    ])
    func accepts(text: String, requests: [String]) {
        #expect(parse(text) == Outcome(requests: requests, status: nil))
    }

    @Test(arguments: [
        // The request line.
        ("GET /\r\n\r\n", 400), ("GET  / HTTP/1.1\r\n", 400), (" GET / HTTP/1.1\r\n", 400),
        ("GET / x HTTP/1.1\r\n", 400), ("GET / HTTP/1.1 \r\n", 400), ("GET / http/1.1\r\n", 400),
        ("GET / HTTP/1\r\n", 400), ("GET / HTTP/1.10\r\n", 400), ("GET / HTTP/2.0\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\n", 505), ("G(T / HTTP/1.1\r\n", 400), ("GET x HTTP/1.1\r\n", 400),
        ("GET * HTTP/1.1\r\n", 400), ("GET /#f HTTP/1.1\r\n", 400), ("GET /\u{7f} HTTP/1.1\r\n", 400),
        ("GET /é HTTP/1.1\r\n", 400), ("GET /\t HTTP/1.1\r\n", 400), ("CONNECT a:80 HTTP/1.1\r\n", 400),
        ("GET http:///x HTTP/1.1\r\n", 400), ("GET ftp://a/x HTTP/1.1\r\n", 400), ("GET / HTTP/1.1\n", 400),
        ("\u{16}\u{3}\u{1}\n", 400), ("GET http://u@h/ HTTP/1.1\r\n", 400),
        // Header lines.
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\nX: y\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n", 400), ("GET / HTTP/1.1\r\n: a\r\n", 400),
        ("GET / HTTP/1.1\r\nHost\r\n", 400),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n", 400), ("GET / HTTP/1.1\r\n A: b\r\n", 400),
        ("GET / HTTP/1.1\r\nA: b\rc\r\n", 400), ("GET / HTTP/1.1\r\nA: \0\r\n", 400),
        ("GET / HTTP/1.1\r\nÄ: b\r\n", 400),
        // Host.
        ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a/b\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n", 400), ("GET / HTTP/1.1\r\nHost: u@b\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: :80\r\n", 400), ("GET / HTTP/1.1\r\nExpect: other\r\n", 417),
    ])
    func refuses(text: String, status: Int) {
        #expect(parse(text).status == status)
    }

    @Test(arguments: [
        ("Content-Length: 3\r\nContent-Length: 3\r\n", 400), ("Content-Length: 3\r\nContent-Length: 4\r\n", 400),
        ("Content-Length: 3, 3\r\n", 400), ("Content-Length: +3\r\n", 400), ("Content-Length: -3\r\n", 400),
        ("Content-Length: 0x3\r\n", 400), ("Content-Length: 3 3\r\n", 400), ("Content-Length:\r\n", 400),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked, chunked\r\n", 501), ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: xchunked\r\n", 501), ("Transfer-Encoding: chunked;q=1\r\n", 501),
        ("Transfer-Encoding: \"chunked\"\r\n", 501), ("Transfer-Encoding:\u{0B}chunked\r\n", 400),
        ("Transfer-Encoding : chunked\r\n", 400), ("Transfer-Encoding\r\n : chunked\r\n", 400),
    ])
    func refusesAmbiguousFraming(fields: String, status: Int) {
        #expect(parse("POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\nabc\r\n").status == status)
    }

    @Test(arguments: [
        "x\r\n", "\r\n", " 3\r\n", "3 \r\nabc\r\n", "3\nabc", "0x3\r\n", "-3\r\n", "3\r\nabcd\r\n", "3\r\nabc\n",
        "3;\u{1}\r\n", "1000000000000000\r\n", "0\r\nA : b\r\n\r\n", "0\r\n A: b\r\n\r\n", "3;a\rb\r\nabc\r\n",
    ])
    func refusesBadChunks(body: String) {
        #expect(parse("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body).status == 400)
    }

    @Test func refusesTransferEncodingInHTTP10() {
        #expect(parse("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").status == 400)
    }

    @Test func holdsLimits() {
        let limits = RequestParser.Limits(maxRequestLineBytes: 40, maxHeadBytes: 100, maxFieldCount: 3)
        let line = "GET / HTTP/1.1\r\n"
        #expect(parse("GET /" + String(repeating: "a", count: 60), limits).status == 414)
        #expect(parse(line + "A: " + String(repeating: "a", count: 90), limits).status == 431)
        #expect(parse(line + "Host: a\r\nB: 1\r\nC: 1\r\nD: 1\r\n\r\n", limits).status == 431)
        #expect(parse(line + "Host: a\r\nB: 1\r\nC: 1\r\n\r\n", limits).requests == ["GET /"])
        let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        #expect(parse(chunked + "1;" + String(repeating: "a", count: 120), limits).status == 400)
        let extended = String(repeating: "1;aaaaaaaaaaaaaaaaaaaa\r\nx\r\n", count: 6)
        #expect(parse(chunked + extended, limits).status == 400)
        let small = String(repeating: "1\r\nx\r\n", count: 60) + "0\r\n\r\n"
        #expect(parse(chunked + small, limits).requests == ["POST / [\(String(repeating: "x", count: 60))]"])
        #expect(parse(chunked + "0\r\nA: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n\r\n", limits).status == 431)
    }

    @Test func keepsFields() throws {
        var parser = RequestParser()
        var buffer = ByteBuffer(
            string: "GET / HTTP/1.1\r\nhOST: a\r\nX-Own: 1\r\nx-own:  two \r\nX-Request-ID: r-1\r\nOrigin: o\r\n"
                + "Connection: foo , Close\r\ntraceparent: 00-1\r\n\r\n")
        guard case .head(let head) = parser.next(&buffer) else {
            Issue.record("no head")
            return
        }
        #expect(head.fields[HTTPField.Name("x-own")!] == "1, two")
        #expect(head.fields[HTTPField.Name("Host")!] == "a")
        #expect(head.requestID == "r-1")
        #expect(head.origin == "o")
        #expect(head.traceParent == "00-1")
        #expect(!head.keepsAlive)
        #expect(parser.isBetweenRequests)
    }

    @Test(arguments: [
        ("HTTP/1.1", "", true), ("HTTP/1.1", "Connection: close\r\n", false), ("HTTP/1.0", "", false),
        ("HTTP/1.0", "Connection: keep-alive\r\n", true), ("HTTP/1.0", "Connection: keep-alive, close\r\n", false),
    ])
    func decidesKeepAlive(version: String, field: String, keepsAlive: Bool) {
        var parser = RequestParser()
        var buffer = ByteBuffer(string: "GET / \(version)\r\nHost: a\r\n\(field)\r\n")
        guard case .head(let head) = parser.next(&buffer) else {
            Issue.record("no head")
            return
        }
        #expect(head.keepsAlive == keepsAlive)
    }

    @Test(arguments: [
        ("a b", false), (String(repeating: "x", count: 128), true), (String(repeating: "x", count: 129), false),
        ("", false), ("é", false),
    ])
    func takesRequestIDs(id: String, isTaken: Bool) {
        var parser = RequestParser()
        var buffer = ByteBuffer(string: "GET / HTTP/1.1\r\nHost: a\r\nx-request-id: \(id)\r\n\r\n")
        guard case .head(let head) = parser.next(&buffer) else {
            Issue.record("no head")
            return
        }
        #expect(head.requestID == (isTaken ? id : nil))
    }
}
