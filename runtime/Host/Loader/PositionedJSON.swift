/// A JSON value that knows where in its file it stands, so that a complaint about it can name line and column.
///
/// ```swift
/// let json = try PositionedJSON.parse(bytes)
/// json["retry"]?["attempts"]?.integer
/// ```
public struct PositionedJSON: Sendable, Hashable {
    /// A place in a text.
    public struct Position: Sendable, Hashable, Comparable, CustomStringConvertible {
        /// The line, from 1.
        public let line: Int
        /// The column in Unicode scalars, from 1.
        public let column: Int

        /// Makes a position.
        public init(line: Int, column: Int) {
            self.line = line
            self.column = column
        }

        /// `line:column`.
        public var description: String { "\(line):\(column)" }

        /// Whether one stands before the other.
        public static func < (left: Position, right: Position) -> Bool {
            (left.line, left.column) < (right.line, right.column)
        }
    }

    /// The value without its place.
    public enum Value: Sendable, Hashable {
        /// `null`.
        case null
        /// `true` or `false`.
        case bool(Bool)
        /// A number as it is written, so that nothing is lost.
        case number(String)
        /// A string, escapes resolved.
        case string(String)
        /// An array.
        case array([PositionedJSON])
        /// An object in the order of the text; no key occurs twice.
        case object([Member])
    }

    /// One member of an object.
    public struct Member: Sendable, Hashable {
        /// The key, escapes resolved.
        public let key: String
        /// Where the key stands.
        public let keyPosition: Position
        /// The value.
        public let value: PositionedJSON

        /// Makes a member.
        public init(key: String, keyPosition: Position, value: PositionedJSON) {
            self.key = key
            self.keyPosition = keyPosition
            self.value = value
        }
    }

    /// Why a text is not JSON.
    public struct SyntaxError: Error, Sendable, Hashable, CustomStringConvertible {
        /// Where it stops being JSON.
        public let position: Position
        /// What is wrong there.
        public let reason: String

        /// `line:column: reason`.
        public var description: String { "\(position): \(reason)" }
    }

    /// Where the value begins.
    public let position: Position
    /// The value.
    public let value: Value

    /// Makes a value.
    public init(position: Position, value: Value) {
        self.position = position
        self.value = value
    }

    /// Reads a text of strict JSON (RFC 8259): UTF-8, one value, no comments, no trailing commas, no key twice.
    ///
    /// - Parameters:
    ///   - bytes: The whole text.
    ///   - maxDepth: How deep arrays and objects may nest.
    /// - Returns: The value.
    /// - Throws: ``SyntaxError`` with the first place that is wrong.
    public static func parse(_ bytes: [UInt8], maxDepth: Int = 64) throws(SyntaxError) -> PositionedJSON {
        var parser = JSONParser(bytes: bytes, maxDepth: maxDepth)
        return try parser.document()
    }

    /// The member of an object with that key, or `nil` when there is none or this is no object.
    public subscript(_ key: String) -> PositionedJSON? {
        members?.first { $0.key == key }?.value
    }

    /// The members of an object, or `nil` for anything else.
    public var members: [Member]? {
        if case .object(let members) = value { members } else { nil }
    }

    /// The elements of an array, or `nil` for anything else.
    public var elements: [PositionedJSON]? {
        if case .array(let elements) = value { elements } else { nil }
    }

    /// The text of a string, or `nil` for anything else.
    public var string: String? {
        if case .string(let text) = value { text } else { nil }
    }

    /// The truth value, or `nil` for anything else.
    public var bool: Bool? {
        if case .bool(let flag) = value { flag } else { nil }
    }

    /// The number where it is written as a whole number that fits, or `nil` for anything else.
    public var integer: Int? {
        if case .number(let text) = value { Int(text) } else { nil }
    }

    /// The number, rounded to a finite `Double`, or `nil` for anything else.
    public var number: Double? {
        guard case .number(let text) = value, let number = Double(text), number.isFinite else { return nil }
        return number
    }

    /// Whether this is `null`.
    public var isNull: Bool { value == .null }

    /// What kind of value this is, for messages: `a string`, `an object`, …
    public var kind: String {
        switch value {
        case .null: "null"
        case .bool: "true or false"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}
