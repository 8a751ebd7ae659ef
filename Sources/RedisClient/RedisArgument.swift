public import NIOCore

/// One argument of a command: a string of bytes.
public enum RedisArgument: Sendable, Hashable {
    /// Text, sent as UTF-8.
    case string(String)
    /// The readable bytes of a buffer.
    case bytes(ByteBuffer)
    /// An integer, sent in decimal.
    case integer(Int64)
}

extension RedisArgument: ExpressibleByStringInterpolation {
    /// Makes an argument from a string literal.
    public init(stringLiteral value: String) { self = .string(value) }
}

extension RedisArgument: ExpressibleByIntegerLiteral {
    /// Makes an argument from an integer literal.
    public init(integerLiteral value: Int64) { self = .integer(value) }
}
