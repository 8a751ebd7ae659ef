/// Compares JSON values and notes where they differ.
struct JSONComparison {
    /// The header fields and members that every answer has anew.
    private static let volatileFields: Set<String> = [
        "date", "x-request-id", "content-length", "connection", "keep-alive", "age", "server-timing",
    ]
    private static let volatileMembers: Set<String> = ["requestId"]

    /// Whether members and header fields that are not expected are differences too.
    let isExact: Bool
    private(set) var differences: [Expectation.Difference] = []

    init(isExact: Bool) { self.isExact = isExact }

    /// Whether a header field says nothing of what a function did.
    static func isVolatile(field: String) -> Bool { volatileFields.contains(field) }
    /// Whether a member of an answer says nothing of what a function did.
    static func isVolatile(member: String) -> Bool { volatileMembers.contains(member) }

    mutating func differ(_ path: String, _ expected: String?, _ actual: String?) {
        differences.append(Expectation.Difference(path: path, expected: expected, actual: actual))
    }

    /// Compares a text: with a text as it is, with other JSON as JSON, with `null` for emptiness.
    mutating func compareText(_ path: String, _ expected: PositionedJSON, _ actual: String?) {
        switch expected.value {
        case .string(let text):
            guard let actual else { return differ(path, expected.text(), nil) }
            if !Self.matches(text, actual) { differ(path, expected.text(), Self.text(actual)) }
        case .null:
            if let actual, !actual.isEmpty, actual != "null" { differ(path, "null", Self.text(actual)) }
        default:
            guard let actual, let json = try? PositionedJSON.parse(Array(actual.utf8)) else {
                return differ(path, expected.text(), actual.map(Self.text))
            }
            compare(path, expected, json)
        }
    }

    mutating func compareHeaders(_ expected: [PositionedJSON.Member], _ actual: PositionedJSON?) {
        var names: Set<String> = []
        for member in expected {
            let name = member.key.lowercased()
            names.insert(name)
            let value = actual?.members?.first { $0.key.lowercased() == name }?.value
            if member.value.isNull, value == nil { continue }
            compare("headers.\(name)", member.value, value)
        }
        guard isExact else { return }
        for member in actual?.members ?? [] where !names.contains(member.key) && !Self.isVolatile(field: member.key) {
            differ("headers.\(member.key)", nil, member.value.text())
        }
    }

    /// Compares the elements of two arrays one by one; those that one has more are differences.
    mutating func compareElements(
        _ path: String, _ expected: [PositionedJSON], _ actual: [PositionedJSON],
        _ compare: (inout JSONComparison, String, PositionedJSON, PositionedJSON) -> Void
    ) {
        for index in 0..<max(expected.count, actual.count) {
            let place = "\(path)[\(index)]"
            if index >= actual.count {
                differ(place, expected[index].text(), nil)
            } else if index >= expected.count {
                differ(place, nil, actual[index].text())
            } else {
                compare(&self, place, expected[index], actual[index])
            }
        }
    }

    mutating func compare(_ path: String, _ expected: PositionedJSON, _ actual: PositionedJSON?) {
        guard let actual else { return differ(path, expected.text(), nil) }
        guard expected.string != Expectation.redacted else { return }
        switch (expected.value, actual.value) {
        case (.object(let members), .object(let others)):
            for member in members where !(isExact && Self.isVolatile(member: member.key)) {
                compare("\(path).\(member.key)", member.value, actual[member.key])
            }
            guard isExact else { return }
            for other in others where expected[other.key] == nil && !Self.isVolatile(member: other.key) {
                differ("\(path).\(other.key)", nil, other.value.text())
            }
        case (.array(let elements), .array(let others)):
            compareElements(path, elements, others) { $0.compare($1, $2, $3) }
        case (.number(let text), .number(let other)):
            guard text != other else { return }
            let isSame =
                if let left = expected.integer, let right = actual.integer { left == right } else {
                    expected.number != nil && expected.number == actual.number
                }
            if !isSame { differ(path, text, other) }
        case (.string(let text), .string(let other)):
            if !Self.matches(text, other) { differ(path, expected.text(), actual.text()) }
        case (.null, .null): break
        case (.bool(let flag), .bool(let other)) where flag == other: break
        default: differ(path, expected.text(), actual.text())
        }
    }

    private static func matches(_ expected: String, _ actual: String) -> Bool {
        expected == actual || expected.contains(Expectation.redacted)
    }

    private static func text(_ text: String) -> String {
        PositionedJSON(position: .init(line: 1, column: 1), value: .string(text)).text()
    }
}
