/// What requests of a function bring and what it answers, as its manifest tells: the parts of an OpenAPI document.
///
/// Schemas stand here as they stand in the document, their references leading to ``components``.
public struct FunctionInterface: Sendable, Hashable {
    /// One form of a body.
    struct Content: Sendable, Hashable {
        let mediaType: String
        let schema: PositionedJSON
    }

    /// A parameter, or a header field of an answer.
    struct Field: Sendable, Hashable {
        let name: String
        let isRequired: Bool
        let schema: PositionedJSON
    }

    /// Another function that can be called with what an answer holds.
    struct Link: Sendable, Hashable {
        let function: String
        /// Runtime expressions (OpenAPI 3.1, section 4.8.20.4) by parameter.
        let parameters: [String: String]
    }

    /// What the function answers with one status.
    struct Answer: Sendable, Hashable {
        var description: String?
        var content: [Content] = []
        var headers: [Field] = []
        /// Of an error: its codes.
        var codes: [String] = []
        var links: [Link] = []
    }

    /// The forms of the request's body; a function with any needs one.
    var body: [Content] = []
    var path: [Field] = []
    var query: [Field] = []
    var headers: [Field] = []
    /// The answers by status; `nil` when the manifest tells nothing of them.
    var answers: [Int: Answer]?
    /// What a stream or a socket sends.
    var sentMessage: PositionedJSON?
    /// What a socket's client may send.
    var takenMessage: PositionedJSON?
    /// The schemas of files, by their names in a document.
    var components: [String: PositionedJSON] = [:]

    /// Makes one that tells nothing.
    public init() {}
}

extension FunctionInterface {
    /// What is told of requests, in a line: `body initiate.request; headers Idempotency-Key`; `nil` when nothing is.
    public var requestSummary: String? {
        let names = [("path", path), ("query", query), ("headers", headers)].filter { !$0.1.isEmpty }
            .map { "\($0.0) \($0.1.map(\.name).joined(separator: ", "))" }
        let bodies = body.isEmpty ? [] : ["body \(Self.text(body))"]
        let all = bodies + names
        return all.isEmpty ? nil : all.joined(separator: "; ")
    }

    /// What is told of answers, in a line: `202 initiate.accepted; 400 malformed_json, validation_failed`.
    public var answersSummary: String? {
        guard let answers else { return nil }
        return answers.sorted { $0.key < $1.key }.map { status, answer in
            let parts = [Self.text(answer.content), answer.codes.joined(separator: ", ")].filter { !$0.isEmpty }
            return parts.isEmpty ? "\(status)" : "\(status) \(parts.joined(separator: ", "))"
        }.joined(separator: "; ")
    }

    /// What is told of messages, in a line.
    public var messagesSummary: String? {
        let sides = [("server", sentMessage), ("client", takenMessage)].compactMap { name, schema in
            schema.map { "\(name) \(Self.text($0))" }
        }
        return sides.isEmpty ? nil : sides.joined(separator: "; ")
    }

    private static func text(_ content: [Content]) -> String {
        content.map { $0.mediaType == "application/json" ? text($0.schema) : $0.mediaType }.joined(separator: ", ")
    }

    /// The component's name of a schema that is a file.
    private static func text(_ schema: PositionedJSON) -> String {
        guard schema.members?.count == 1, let reference = schema["$ref"]?.string else { return "inline" }
        return String(reference.split(separator: "/").last ?? "inline")
    }
}
