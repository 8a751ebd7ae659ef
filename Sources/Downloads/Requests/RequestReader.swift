internal import FunctionKit

/// Reads the members of a request's JSON object and gathers every problem, so that one answer tells all.
struct RequestReader {
    /// An answer lists at most so many problems: input must not be able to order an answer larger than itself.
    static let maxProblems = 1_024

    private var members: [JSONValue.Member]
    private(set) var problems: [HTTPError.Detail] = []

    /// Checks content type and form.
    ///
    /// - Throws: ``HTTPError``: 415, or 400 `malformed_json`.
    init(_ request: Request, known: Set<String>) throws {
        try request.requireJSON()
        guard let value = JSONValue(request.body) else {
            throw HTTPError(.badRequest, code: "malformed_json", message: "The body is not valid JSON.")
        }
        guard case .object(let members) = value else {
            throw HTTPError.validation([.init(field: "", problem: "must be an object")])
        }
        self.members = members
        var seen: Set<String> = []
        for member in members {
            if !known.contains(member.name) {
                report(String(member.name.prefix(64)), "is not known")
            } else if !seen.insert(member.name).inserted {
                report(member.name, "is given twice")
            }
        }
    }

    /// The member of that name, or `nil` when it is absent.
    func member(_ name: String) -> JSONValue? { members.first { $0.name == name }?.value }

    mutating func report(_ field: String, _ problem: String) {
        if problems.count < Self.maxProblems { problems.append(.init(field: field, problem: problem)) }
    }

    /// A file id, or `nil` after its problem was reported.
    mutating func fileID(_ value: JSONValue, field: @autoclosure () -> String) -> Int64? {
        guard let id = value.integer else {
            report(field(), "must be an integer")
            return nil
        }
        guard FileID.range.contains(id) else {
            report(field(), "must be \(FileID.range.lowerBound) to \(FileID.range.upperBound)")
            return nil
        }
        return id
    }

    /// - Throws: ``HTTPError`` 400 `validation_failed` when there was a problem.
    func finish() throws {
        if !problems.isEmpty { throw HTTPError.validation(problems) }
    }
}

/// The ids of files.
public enum FileID {
    /// The smallest and the largest id.
    public static let range: ClosedRange<Int64> = 10_000...100_000_000
}
