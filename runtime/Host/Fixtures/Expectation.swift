/// What a call of a function is expected to come to, `expect` of a fixture, and where an answer differs from it.
///
/// What an expectation does not name is not compared; of JSON objects this holds for each member. Arrays have the same
/// number of elements. `<redacted>` stands for any value, a text with it in it for any text.
public struct Expectation: Sendable {
    /// One place where expectation and answer differ.
    public struct Difference: Sendable, Hashable, Encodable {
        /// Where, such as `body.items[3].id`.
        public let path: String
        /// What was expected, as JSON; `nil` when nothing was.
        public let expected: String?
        /// What came, as JSON; `nil` when nothing did.
        public let actual: String?
    }

    /// Why a fixture's expectation is none.
    public struct Invalid: Error, Sendable, CustomStringConvertible {
        /// Every problem, as `line:column: reason`.
        public let problems: [String]

        /// One problem a line.
        public var description: String { problems.joined(separator: "\n") }
    }

    /// What stands in the place of a secret; as an expected value it matches every other.
    public static let redacted = "<redacted>"

    private static let keys = [
        "status", "headers", "body", "bodyBase64", "events", "ended", "messages", "protocol", "closeCode",
        "closeReason",
        "outcome", "returnValue", "progress", "reason", "class", "retryAfterMs",
    ]

    private let members: [PositionedJSON.Member]
    private let isExact: Bool

    /// Reads the expectation of a fixture; without one the call is to succeed.
    ///
    /// - Parameters:
    ///   - fixture: The fixture.
    ///   - isExact: Whether members and header fields that are not expected are differences too, apart from those that
    ///     change with every answer.
    /// - Throws: ``Invalid`` with every problem.
    public init(of fixture: PositionedJSON, isExact: Bool = false) throws(Invalid) {
        self.isExact = isExact
        var reader = StrictReader()
        guard let root = reader.object(fixture, keys: (fixture.members ?? []).map(\.key)) else {
            throw Invalid(problems: reader.problems.map { "\($0.position): \($0.reason)" })
        }
        if let expected = reader.object(root, "expect", keys: Self.keys) {
            _ = reader.integer(expected, "status", in: 100...599)
            for key in ["events", "messages"] { _ = reader.value(expected, key, "an array") { $0.elements } }
            for (index, event) in (expected.json["events"]?.elements ?? []).enumerated() {
                _ = reader.object(event, path: "expect.events[\(index)]", keys: ["event", "id", "data"])
            }
            _ = reader.value(expected, "headers", "an object of strings, or null for fields that must be absent") {
                $0.members?.allSatisfy { $0.value.string != nil || $0.value.isNull } == true ? true : nil
            }
        }
        guard reader.problems.isEmpty else {
            throw Invalid(problems: reader.problems.map { "\($0.position): \($0.reason)" })
        }
        members = fixture["expect"]?.members ?? []
    }

    /// Compares an answer of the admin listener.
    ///
    /// - Parameter answer: What came of the call.
    /// - Returns: The differences in the order of the expectation; none when it is met.
    public func differences(from answer: PositionedJSON) -> [Difference] {
        var comparison = JSONComparison(isExact: isExact)
        if !members.contains(where: { $0.key == "status" || $0.key == "outcome" }) { Self.success(answer, &comparison) }
        for member in members {
            let actual = answer[member.key]
            switch member.key {
            case "headers": comparison.compareHeaders(member.value.members ?? [], actual)
            case "body": comparison.compareText("body", member.value, actual?.string)
            case "events": events(member.value.elements ?? [], actual?.elements ?? [], &comparison)
            case "messages": messages(member.value.elements ?? [], actual?.elements ?? [], &comparison)
            default: comparison.compare(member.key, member.value, actual)
            }
        }
        return comparison.differences
    }

    private static func success(_ answer: PositionedJSON, _ comparison: inout JSONComparison) {
        if let outcome = answer["outcome"]?.string {
            if outcome != "completed" { comparison.differ("outcome", "\"completed\"", "\"\(outcome)\"") }
        } else if let status = answer["status"]?.integer, status != 101, !(200..<300).contains(status) {
            comparison.differ("status", "2xx", "\(status)")
        } else if answer["ended"]?.string == "failed" {
            comparison.differ("ended", nil, "\"failed\"")
        }
    }

    private func events(
        _ expected: [PositionedJSON], _ actual: [PositionedJSON], _ comparison: inout JSONComparison
    ) {
        comparison.compareElements("events", expected, actual) { comparison, path, expected, actual in
            for member in expected.members ?? [] {
                let value = actual[member.key]
                if member.key == "data" {
                    comparison.compareText("\(path).data", member.value, value?.string)
                } else {
                    comparison.compare("\(path).\(member.key)", member.value, value)
                }
            }
        }
    }

    private func messages(
        _ expected: [PositionedJSON], _ actual: [PositionedJSON], _ comparison: inout JSONComparison
    ) {
        comparison.compareElements("messages", expected, actual) { comparison, path, expected, actual in
            if let text = actual.string {
                comparison.compareText(path, expected, text)
            } else {
                comparison.compare(path, expected, actual)
            }
        }
    }
}
