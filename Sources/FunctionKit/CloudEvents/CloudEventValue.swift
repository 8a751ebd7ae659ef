/// The value of an extension attribute.
///
/// Binary mode knows strings only: there a boolean or an integer arrives as its text.
public enum CloudEventValue: Sendable, Hashable, CustomStringConvertible {
    /// A text without control characters.
    case string(String)
    /// An integer of 32 bits.
    case integer(Int32)
    /// `true` or `false`.
    case boolean(Bool)

    /// The value's text, as a header field carries it before it is escaped.
    public var description: String {
        switch self {
        case .string(let text): text
        case .integer(let number): "\(number)"
        case .boolean(let flag): flag ? "true" : "false"
        }
    }
}

extension CloudEventValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    /// A string.
    public init(stringLiteral value: String) { self = .string(value) }
    /// An integer.
    public init(integerLiteral value: Int32) { self = .integer(value) }
    /// A boolean.
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
}
