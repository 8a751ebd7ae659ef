/// The `"METHOD /path/:param"` of a manifest, checked.
struct RoutePattern: Hashable {
    let method: String
    let path: String

    /// Why a text is no pattern.
    struct Fault: Error {
        let reason: String
    }

    init(_ text: String) throws(Fault) {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty else {
            throw Fault(reason: "must be a method and a path with one space between, such as \"GET /hello/:name\"")
        }
        method = String(parts[0])
        path = String(parts[1])
        guard method.utf8.allSatisfy({ (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) || $0 == 0x2D }),
            !method.hasPrefix("-")
        else {
            let upper = method.uppercased()
            throw Fault(reason: "has the method \"\(method)\"; methods are upper-case letters, such as \"\(upper)\"")
        }
        guard method != "CONNECT" else { throw Fault(reason: "has the method CONNECT, which has no path") }
        try Self.check(path)
    }

    /// The pattern of `GET` requests of a path.
    init(getting path: String) throws(Fault) {
        guard !path.contains(" ") else {
            throw Fault(reason: "must be a path alone, such as \"/ticks/:name\", since its requests are GET")
        }
        try Self.check(path)
        method = "GET"
        self.path = path
    }

    /// The pattern with its parameters' names taken out: two patterns with the same key match the same requests.
    var key: String { Self.key(method: method, path: path) }

    static func key(method: String, path: String) -> String {
        let segments = path.split(separator: "/", omittingEmptySubsequences: false)
        return method + " " + segments.map { $0.hasPrefix(":") ? ":" : String($0) }.joined(separator: "/")
    }

    /// The names of a path's parameters, from the left.
    static func parameters(of path: String) -> [String] {
        path.split(separator: "/").filter { $0.hasPrefix(":") }.map { String($0.dropFirst()) }
    }

    private static func check(_ path: String) throws(Fault) {
        guard path.hasPrefix("/") else { throw Fault(reason: "has the path \"\(path)\", which must begin with \"/\"") }
        let segments = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        var names: Set<Substring> = []
        for (index, segment) in segments.enumerated() {
            if segment.isEmpty {
                guard index == segments.count - 1 else {
                    throw Fault(reason: "has an empty segment in its path \"\(path)\"")
                }
            } else if segment.hasPrefix(":") {
                let name = segment.dropFirst()
                guard let first = name.utf8.first, first < 0x30 || first > 0x39,
                    name.utf8.allSatisfy({ $0 < 0x80 && ($0 == 0x5F || Character(Unicode.Scalar($0)).isLetterOrDigit) })
                else {
                    throw Fault(
                        reason:
                            "has the parameter \"\(segment)\"; a name is letters, digits and _, and begins with no digit"
                    )
                }
                guard names.insert(name).inserted else {
                    throw Fault(reason: "has the parameter \"\(segment)\" twice")
                }
            } else if segment == "." || segment == ".." {
                throw Fault(reason: "has the segment \"\(segment)\" in its path, which clients resolve before they ask")
            } else if segment.contains("%") {
                throw Fault(
                    reason: "has \"%\" in its path; segments are matched decoded, so write the character itself")
            } else if let character = segment.first(where: { "?#*:\\".contains($0) || $0.isWhitespace }) {
                throw Fault(reason: "has \"\(character)\" in its path \"\(path)\", which has no meaning there")
            } else if segment.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) {
                throw Fault(reason: "has a control character in its path")
            }
        }
    }
}

extension Character {
    /// Whether this is an ASCII letter or digit.
    fileprivate var isLetterOrDigit: Bool { isASCII && (isLetter || isNumber) }
}
