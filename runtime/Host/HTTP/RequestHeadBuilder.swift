internal import FunctionKit

/// Collects the lines of one request's head and checks them together at its end.
struct RequestHeadBuilder {
    private var head = RequestHead()
    private var hostCount = 0
    private var contentLength: Int?
    private var transferEncodingCount = 0
    private var isChunked = false
    private var saysClose = false
    private var saysKeepAlive = false

    /// Takes `METHOD SP target SP HTTP/1.x` (RFC 9112 section 3), each part without spaces.
    mutating func setRequestLine(_ line: UnsafeRawBufferPointer) throws(HTTPError) {
        guard let methodEnd = line.firstIndex(of: 0x20), let targetEnd = line.lastIndex(of: 0x20),
            methodEnd > 0, targetEnd > methodEnd + 1
        else { throw HTTPError.malformed("The request line is not a method, a target and a version.") }
        let method = UnsafeRawBufferPointer(rebasing: line[..<methodEnd])
        let target = UnsafeRawBufferPointer(rebasing: line[(methodEnd + 1)..<targetEnd])
        let version = UnsafeRawBufferPointer(rebasing: line[(targetEnd + 1)...])
        try setVersion(version)
        guard method.allSatisfy(HTTPBytes.isToken), let parsed = Self.method(method) else {
            throw HTTPError.malformed("The method is not a token.")
        }
        head.method = parsed
        try setTarget(target)
    }

    private mutating func setVersion(_ version: UnsafeRawBufferPointer) throws(HTTPError) {
        let prefix: StaticString = "HTTP/"
        let isDigit = { (byte: UInt8) in byte >= 0x30 && byte <= 0x39 }
        guard version.count == 8, (0..<5).allSatisfy({ version[$0] == prefix.utf8Start[$0] }),
            isDigit(version[5]), version[6] == UInt8(ascii: "."), isDigit(version[7])
        else { throw HTTPError.malformed("The request line does not end in an HTTP version.") }
        guard version[5] == UInt8(ascii: "1") else {
            throw HTTPError(.httpVersionNotSupported, message: "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
        }
        // A higher minor version is answered as the highest that is known (RFC 9110 section 2.5).
        head.isHTTP11 = version[7] != UInt8(ascii: "0")
    }

    private static func method(_ bytes: UnsafeRawBufferPointer) -> HTTPRequest.Method? {
        switch bytes.count {
        case 3 where bytes.elementsEqual("GET".utf8): .get
        case 3 where bytes.elementsEqual("PUT".utf8): .put
        case 4 where bytes.elementsEqual("POST".utf8): .post
        case 4 where bytes.elementsEqual("HEAD".utf8): .head
        default: HTTPRequest.Method(String(decoding: bytes, as: UTF8.self))
        }
    }

    /// Takes the origin form, the absolute form, or the asterisk of OPTIONS (RFC 9112 section 3.2).
    private mutating func setTarget(_ target: UnsafeRawBufferPointer) throws(HTTPError) {
        guard target.allSatisfy({ HTTPBytes.isVisible($0) && $0 != UInt8(ascii: "#") }) else {
            throw HTTPError.malformed("The request target holds a character that must be percent-encoded.")
        }
        if target[0] == UInt8(ascii: "/") {
            setPath(target)
        } else if target.count == 1, target[0] == UInt8(ascii: "*"), head.method == .options {
            head.path = "*"
        } else if let authority = Self.authorityStart(target) {
            let rest = UnsafeRawBufferPointer(rebasing: target[authority...])
            let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.count
            guard Self.isAuthority(UnsafeRawBufferPointer(rebasing: rest[..<end])), end > 0 else {
                throw HTTPError.malformed("The request target names no host.")
            }
            setPath(UnsafeRawBufferPointer(rebasing: rest[end...]))
        } else {
            throw HTTPError.malformed("The request target is not a path.")
        }
    }

    private static func authorityStart(_ target: UnsafeRawBufferPointer) -> Int? {
        for scheme in ["http://", "https://"] as [StaticString] {
            let count = scheme.utf8CodeUnitCount
            guard target.count >= count else { continue }
            if HTTPBytes.equals(UnsafeRawBufferPointer(rebasing: target[..<count]), scheme) { return count }
        }
        return nil
    }

    private mutating func setPath(_ target: UnsafeRawBufferPointer) {
        let mark = target.firstIndex(of: UInt8(ascii: "?"))
        let path = UnsafeRawBufferPointer(rebasing: target[..<(mark ?? target.count)])
        head.path = path.isEmpty ? "/" : String(decoding: path, as: UTF8.self)
        if let mark {
            head.query = String(decoding: UnsafeRawBufferPointer(rebasing: target[(mark + 1)...]), as: UTF8.self)
        }
    }

    /// Takes a header field's line.
    mutating func add(_ line: UnsafeRawBufferPointer) throws(HTTPError) {
        let (name, value) = try Self.split(line)
        let bytes = UnsafeBufferPointer<UInt8>(
            start: value.baseAddress?.assumingMemoryBound(to: UInt8.self), count: value.count)
        guard let known = KnownField.find(name) else {
            guard let name = HTTPField.Name(String(decoding: name, as: UTF8.self)) else {
                throw HTTPError.malformed("A header field's name is not a token.")
            }
            head.fields.append(HTTPField(name: name, value: bytes))
            return
        }
        try note(known.role, value)
        head.fields.append(HTTPField(name: known.name, value: bytes))
    }

    private mutating func note(_ role: KnownField.Role, _ value: UnsafeRawBufferPointer) throws(HTTPError) {
        switch role {
        case .none: break
        case .host:
            hostCount += 1
            guard value.isEmpty || Self.isAuthority(value) else {
                throw HTTPError.malformed("The Host header field is not a host.")
            }
        case .contentLength:
            guard contentLength == nil else { throw HTTPError.malformed("There is more than one Content-Length.") }
            contentLength = try Self.length(value)
        case .transferEncoding:
            transferEncodingCount += 1
            isChunked = HTTPBytes.equals(value, "chunked")
        case .connection:
            HTTPBytes.forEachElement(value) { element in
                if HTTPBytes.equals(element, "close") { saysClose = true }
                if HTTPBytes.equals(element, "keep-alive") { saysKeepAlive = true }
            }
        case .expect:
            guard HTTPBytes.equals(value, "100-continue") else {
                throw HTTPError(.expectationFailed, message: "Only 100-continue can be expected.")
            }
            head.expectsContinue = true
        case .requestID:
            if (1...128).contains(value.count), value.allSatisfy(HTTPBytes.isVisible) {
                head.requestID = String(decoding: value, as: UTF8.self)
            }
        case .origin: head.originIndex = head.fields.count
        case .traceParent: head.traceParentIndex = head.fields.count
        }
    }

    /// Checks a trailer's line; trailers are dropped.
    static func checkTrailer(_ line: UnsafeRawBufferPointer) throws(HTTPError) {
        _ = try split(line)
    }

    /// Splits a field's line (RFC 9112 section 5).
    private static func split(
        _ line: UnsafeRawBufferPointer
    ) throws(HTTPError) -> (name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        if HTTPBytes.isBlank(line[0]) { throw HTTPError.malformed("Folded header lines are not accepted.") }
        var colon = 0
        while colon < line.count, HTTPBytes.isToken(line[colon]) { colon += 1 }
        guard colon > 0, colon < line.count, line[colon] == UInt8(ascii: ":") else {
            throw HTTPError.malformed("A header line is not a name, a colon and a value.")
        }
        let value = HTTPBytes.trim(UnsafeRawBufferPointer(rebasing: line[(colon + 1)...]))
        guard value.allSatisfy(HTTPBytes.isFieldValue) else {
            throw HTTPError.malformed("A header field holds a control character.")
        }
        return (UnsafeRawBufferPointer(rebasing: line[..<colon]), value)
    }

    /// A length in decimal; one that is too large to count is as large as can be, and so over every limit.
    private static func length(_ value: UnsafeRawBufferPointer) throws(HTTPError) -> Int {
        guard !value.isEmpty, value.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
            throw HTTPError.malformed("The Content-Length is not a number.")
        }
        var length = 0
        for digit in value {
            let (product, overflows) = length.multipliedReportingOverflow(by: 10)
            let (sum, carries) = product.addingReportingOverflow(Int(digit - 0x30))
            if overflows || carries { return .max }
            length = sum
        }
        return length
    }

    /// `host` or `host:port` (RFC 3986 section 3.2), without user information.
    private static func isAuthority(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var end = bytes.count
        while end > 0, bytes[end - 1] >= 0x30, bytes[end - 1] <= 0x39 { end -= 1 }
        if end > 0, bytes[end - 1] == UInt8(ascii: ":") { end -= 1 } else { end = bytes.count }
        guard end > 0 else { return false }
        if bytes[0] == UInt8(ascii: "[") {
            guard end > 2, bytes[end - 1] == UInt8(ascii: "]") else { return false }
            return bytes[1..<(end - 1)].allSatisfy { byte in
                HTTPBytes.isToken(byte) || byte == UInt8(ascii: ":")
            }
        }
        // Tokens and what a registered name may hold besides.
        return bytes[..<end].allSatisfy { HTTPBytes.isToken($0) || "();,=".utf8.contains($0) }
    }

    /// Checks the fields against each other.
    func finish() throws(HTTPError) -> RequestHead {
        var head = head
        guard hostCount <= 1 else { throw HTTPError.malformed("There is more than one Host header field.") }
        guard hostCount == 1 || !head.isHTTP11 else {
            throw HTTPError.malformed("The Host header field is missing.")
        }
        if transferEncodingCount > 0 {
            guard contentLength == nil else {
                throw HTTPError.malformed("Content-Length and Transfer-Encoding exclude each other.")
            }
            guard transferEncodingCount == 1, head.isHTTP11 else {
                throw HTTPError.malformed("Transfer-Encoding cannot be understood.")
            }
            guard isChunked else {
                throw HTTPError(.notImplemented, message: "The only transfer coding accepted is chunked.")
            }
            head.framing = .chunked
        } else if let contentLength, contentLength > 0 {
            head.framing = .length(contentLength)
        }
        if !head.isHTTP11 || head.framing == .none { head.expectsContinue = false }
        head.keepsAlive = saysClose ? false : head.isHTTP11 || saysKeepAlive
        return head
    }
}
