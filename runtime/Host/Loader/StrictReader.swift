/// Takes typed values out of JSON objects and notes every problem instead of stopping at the first.
///
/// An accessor returns `nil` both for an absent key and for a value that does not fit; the latter is in ``problems``.
///
/// ```swift
/// var reader = StrictReader()
/// if let root = reader.object(json, keys: ["timeout", "retry"]) {
///     let timeout = reader.duration(root, "timeout", in: .seconds(1)...(.seconds(3600)))
///     if let retry = reader.object(root, "retry", keys: ["attempts"]) {
///         let attempts = reader.integer(retry, "attempts", in: 1...100)
///     }
/// }
/// guard reader.problems.isEmpty else { … }
/// ```
public struct StrictReader: Sendable {
    /// One thing that is wrong.
    public struct Problem: Sendable, Hashable {
        /// Where it stands.
        public let position: PositionedJSON.Position
        /// The path of the value, such as `retry.attempts`; empty for the root.
        public let path: String
        /// What is wrong, with the path in front where there is one.
        public let reason: String
    }

    /// An object whose keys were checked, with its path from the root.
    public struct Object: Sendable {
        /// The path from the root, such as `retry`; empty for the root.
        public let path: String
        /// The value.
        public let json: PositionedJSON

        /// The path of one of its members.
        public func path(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
    }

    /// Every problem so far, in the order of finding.
    public private(set) var problems: [Problem] = []

    /// Makes a reader that has found nothing yet.
    public init() {}

    /// Notes a problem of a value.
    public mutating func report(_ json: PositionedJSON, _ path: String, _ reason: String) {
        report(at: json.position, path, reason)
    }

    /// Notes a problem at a place.
    public mutating func report(at position: PositionedJSON.Position, _ path: String, _ reason: String) {
        problems.append(Problem(position: position, path: path, reason: path.isEmpty ? reason : "\(path) \(reason)"))
    }

    /// Checks that a value is an object with no other keys than these.
    ///
    /// - Parameters:
    ///   - json: The value.
    ///   - path: Its path from the root.
    ///   - keys: The keys that are known; the nearest is suggested for one that is not.
    ///   - reserved: Keys that are known but not supported, with the reason to give.
    /// - Returns: The object, also when it has unknown keys; `nil` when the value is none.
    public mutating func object(
        _ json: PositionedJSON, path: String = "", keys: [String], reserved: [String: String] = [:]
    ) -> Object? {
        guard let members = json.members else {
            report(json, path, "must be an object, not \(json.kind)")
            return nil
        }
        let object = Object(path: path, json: json)
        for member in members where !keys.contains(member.key) {
            let reason: String
            if let reserved = reserved[member.key] {
                reason = reserved
            } else if let near = Suggestion.nearest(to: member.key, in: keys) {
                reason = "is not a known key; did you mean \"\(near)\"?"
            } else {
                reason = "is not a known key; known are \(keys.sorted().joined(separator: ", "))"
            }
            report(at: member.keyPosition, object.path(of: member.key), reason)
        }
        return object
    }

    /// The object under a key, checked as in ``object(_:path:keys:reserved:)``.
    public mutating func object(_ parent: Object, _ key: String, keys: [String]) -> Object? {
        guard let json = parent.json[key] else { return nil }
        return object(json, path: parent.path(of: key), keys: keys)
    }

    /// The string under a key.
    public mutating func string(_ object: Object, _ key: String) -> String? {
        value(object, key, "a string") { $0.string }
    }

    /// The truth value under a key.
    public mutating func bool(_ object: Object, _ key: String) -> Bool? {
        value(object, key, "true or false") { $0.bool }
    }

    /// The whole number under a key, within bounds.
    public mutating func integer(_ object: Object, _ key: String, in range: ClosedRange<Int>) -> Int? {
        let bounds =
            range.upperBound == .max ? "\(range.lowerBound) or more" : "\(range.lowerBound)…\(range.upperBound)"
        return value(object, key, "a whole number, \(bounds)") { json in
            json.integer.flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// The number under a key, within bounds.
    public mutating func number(_ object: Object, _ key: String, in range: ClosedRange<Double>) -> Double? {
        value(object, key, "a number, \(range.lowerBound)…\(range.upperBound)") { json in
            json.number.flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// One of the names of an enumeration under a key.
    ///
    /// - Parameters:
    ///   - object: The object.
    ///   - key: The key.
    ///   - aliases: Further names and what they mean.
    /// - Returns: The case, or `nil`.
    public mutating func choice<Choice: CaseIterable & RawRepresentable>(
        _ object: Object, _ key: String, aliases: [String: Choice] = [:]
    ) -> Choice? where Choice.RawValue == String {
        let names = Choice.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
        return value(object, key, "one of \(names)") { json in
            json.string.flatMap { Choice(rawValue: $0) ?? aliases[$0] }
        }
    }

    /// The strings of the array under a key.
    public mutating func strings(_ object: Object, _ key: String) -> [String]? {
        value(object, key, "an array of strings") { json in
            guard let elements = json.elements else { return nil }
            let strings = elements.compactMap(\.string)
            return strings.count == elements.count ? strings : nil
        }
    }

    /// The duration under a key, such as `"500ms"`, `"30s"`, `"10m"` or `"1h"`, within bounds.
    public mutating func duration(_ object: Object, _ key: String, in range: ClosedRange<Duration>) -> Duration? {
        let bounds = "\(UnitText.text(range.lowerBound))…\(UnitText.text(range.upperBound))"
        return value(object, key, "a duration such as \"500ms\", \"30s\", \"10m\" or \"1h\", \(bounds)") { json in
            json.string.flatMap(UnitText.duration).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// The count of bytes under a key: a whole number, or a text such as `"64KiB"`, `"1MiB"` or `"2GiB"`, within bounds.
    public mutating func byteCount(_ object: Object, _ key: String, in range: ClosedRange<Int>) -> Int? {
        let bounds = "\(range.lowerBound)…\(range.upperBound) bytes"
        return value(object, key, "a size such as \"64KiB\" or \"1MiB\", or a number of bytes, \(bounds)") { json in
            (json.integer ?? json.string.flatMap(UnitText.byteCount)).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// The value under a key, taken by a closure that returns `nil` when it does not fit.
    ///
    /// - Parameters:
    ///   - object: The object.
    ///   - key: The key.
    ///   - expected: What must stand there, after "must be".
    ///   - showsGiven: Whether the problem shows a text or number that does not fit.
    ///   - take: Takes the value.
    /// - Returns: The value, or `nil` when the key is absent or the value does not fit.
    public mutating func value<Taken>(
        _ object: Object, _ key: String, _ expected: String, showsGiven: Bool = true,
        _ take: (PositionedJSON) -> Taken?
    ) -> Taken? {
        guard let json = object.json[key] else { return nil }
        guard let taken = take(json) else {
            let given =
                switch json.value {
                case .string(let text) where showsGiven: ", not \"\(text.prefix(64))\""
                case .number(let text) where showsGiven: ", not \(text.prefix(64))"
                case .string, .number: ""
                default: ", not \(json.kind)"
                }
            report(json, object.path(of: key), "must be \(expected)\(given)")
            return nil
        }
        return taken
    }
}
