/// Checks JSON text (RFC 8259) without making values of it, and tells where the members of an object stand, so that
/// their text can be kept as it was sent.
struct JSONScanner {
    /// The kind of a value.
    enum Kind: Equatable {
        case object
        case array
        case string(String)
        case number
        case boolean(Bool)
        case null
    }

    /// A member of the outermost object.
    struct Member {
        let name: String
        let kind: Kind
        /// Where the value's text stands.
        let range: Range<Int>
    }

    /// What a text is.
    enum Outcome {
        case members([Member])
        case otherValue
        case malformed
    }

    /// How deep objects and arrays may lie in each other; more counts as malformed.
    private static let depthLimit = 256

    private struct Malformed: Error {}

    private let bytes: [UInt8]
    private var position = 0
    /// Those of the outermost object, as far as they have been read.
    private var members: [Member] = []

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The members of an object, in their order; a name may occur twice.
    static func members(of bytes: [UInt8]) -> Outcome {
        var scanner = JSONScanner(bytes)
        guard String(validating: bytes, as: UTF8.self) != nil, let kind = try? scanner.document() else {
            return .malformed
        }
        return kind == .object ? .members(scanner.members) : .otherValue
    }

    /// Whether the bytes are one JSON value.
    static func isValid(_ bytes: [UInt8]) -> Bool {
        if case .malformed = members(of: bytes) { return false }
        return true
    }

    private mutating func document() throws -> Kind {
        skipSpace()
        let kind = try value(depth: 0)
        skipSpace()
        guard position == bytes.count else { throw Malformed() }
        return kind
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) throws -> Kind {
        guard depth <= Self.depthLimit else { throw Malformed() }
        switch next {
        case UInt8(ascii: "{"):
            try object(depth)
            return .object
        case UInt8(ascii: "["):
            try array(depth)
            return .array
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .boolean(true))
        case UInt8(ascii: "f"): return try literal("false", .boolean(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        default:
            try number()
            return .number
        }
    }

    private mutating func object(_ depth: Int) throws {
        position += 1
        skipSpace()
        if take("}") { return }
        repeat {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw Malformed() }
            let name = try string()
            skipSpace()
            guard take(":") else { throw Malformed() }
            skipSpace()
            let start = position
            let kind = try value(depth: depth + 1)
            if depth == 0 { members.append(Member(name: name, kind: kind, range: start..<position)) }
            skipSpace()
        } while take(",")
        guard take("}") else { throw Malformed() }
    }

    private mutating func array(_ depth: Int) throws {
        position += 1
        skipSpace()
        if take("]") { return }
        repeat {
            skipSpace()
            _ = try value(depth: depth + 1)
            skipSpace()
        } while take(",")
        guard take("]") else { throw Malformed() }
    }

    private mutating func string() throws -> String {
        let start = position
        position += 1
        var isPlain = true
        while let byte = next, byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw Malformed() }
            if byte == UInt8(ascii: "\\") {
                isPlain = false
                position += 1
            }
            position += 1
        }
        guard take("\"") else { throw Malformed() }
        if isPlain { return String(decoding: bytes[(start + 1)..<(position - 1)], as: UTF8.self) }
        // Escapes, surrogates among them, are left to the decoder.
        return try JSON.decode(String.self, from: ByteBuffer(bytes: bytes[start..<position]))
    }

    private mutating func literal(_ text: StaticString, _ kind: Kind) throws -> Kind {
        for index in 0..<text.utf8CodeUnitCount {
            guard next == text.utf8Start[index] else { throw Malformed() }
            position += 1
        }
        return kind
    }

    private mutating func number() throws {
        _ = take("-")
        if !take("0") { try digits() }
        if take(".") { try digits() }
        if take("e") || take("E") {
            _ = take("+") || take("-")
            try digits()
        }
    }

    private mutating func digits() throws {
        let start = position
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        guard position > start else { throw Malformed() }
    }
}
