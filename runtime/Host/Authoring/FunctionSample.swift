public import FunctionKit

/// A sample invocation of a function, as JSON: what `ferry event` prints, and with an expectation the fixture of a new one.
///
/// For a route it has `method`, `path`, `headers` and `body` (JSON, or a text, or `null`), for a socket `messages` too; for
/// jobs `queue`, `name` and `data`; for a queue's events and for ticks the members of `QueueEvent` and `ScheduledTick`.
public struct FunctionSample: Sendable {
    /// The JSON, on several lines, with a line break at its end.
    public let text: String

    /// Makes a sample.
    ///
    /// - Parameters:
    ///   - trigger: What calls the function.
    ///   - maxAttempts: How many attempts a tick has.
    ///   - time: When events and ticks happen.
    ///   - expectation: What the function is expected to do, as JSON; `nil` leaves it out.
    /// - Throws: `EncodingError`; never for the texts of a manifest that was read.
    public init(
        _ trigger: FunctionManifest.Trigger, maxAttempts: Int = 1, at time: Timestamp, expectation: String? = nil
    ) throws {
        var members = try Self.members(trigger, maxAttempts: maxAttempts, time)
        if let expectation { members.append(("expect", expectation)) }
        text = "{\n" + members.map { "  \"\($0)\": \($1)" }.joined(separator: ",\n") + "\n}\n"
    }

    /// The body that is sent with methods that have one.
    static let body = #"{ "message": "hello" }"#

    /// The event that is sent.
    static let event = """
        { "specversion": "1.0", "id": "1", "source": "/sample", "type": "sample.hello", \
        "datacontenttype": "application/json", "data": { "message": "hello" } }
        """

    /// Whether requests of a method carry a JSON body.
    static func hasBody(_ method: String) -> Bool { ["POST", "PUT", "PATCH"].contains(method) }

    private static func members(
        _ trigger: FunctionManifest.Trigger, maxAttempts: Int, _ time: Timestamp
    ) throws -> [(String, String)] {
        switch trigger {
        case .http(let method, let path):
            let hasBody = hasBody(method)
            return [
                ("method", try JSON.text(method)), ("path", try JSON.text(requestPath(path))),
                ("headers", hasBody ? #"{ "content-type": "application/json" }"# : "{}"),
                ("body", hasBody ? body : "null"),
            ]
        case .cloudEvents(let method, let path):
            return [
                ("method", try JSON.text(method)), ("path", try JSON.text(requestPath(path))),
                ("headers", #"{ "content-type": "application/cloudevents+json" }"#), ("body", event),
            ]
        case .sse(let path):
            return try get(path, headers: #"{ "accept": "text/event-stream" }"#)
        case .webSocket(let path):
            return try get(path, headers: "{}") + [("messages", #"["hello"]"#)]
        case .queue(let queue, .process):
            return [("queue", try JSON.text(queue)), ("name", #""sample""#), ("data", body)]
        case .queue(let queue, let moment):
            let data =
                switch moment {
                case .progress: #"{ "percentage": 50 }"#
                case .failed: #""The reason, a text.""#
                case .completed, .process: #"{ "message": "hello" }"#
                }
            return [
                ("kind", try JSON.text(moment.rawValue)), ("queue", try JSON.text(queue)), ("jobId", #""1""#),
                ("data", data), ("at", try JSON.text(time.rfc3339)),
            ]
        case .schedule:
            return [("at", try JSON.text(time.rfc3339)), ("attempt", "1"), ("maxAttempts", "\(maxAttempts)")]
        }
    }

    private static func get(_ path: String, headers: String) throws -> [(String, String)] {
        [("method", #""GET""#), ("path", try JSON.text(requestPath(path))), ("headers", headers), ("body", "null")]
    }

    /// A path that the pattern matches, as it is sent: each parameter has its name as the value.
    static func requestPath(_ pattern: String) -> String {
        pattern.split(separator: "/", omittingEmptySubsequences: false).map { segment in
            // What RFC 3986, section 3.3 allows in a segment stays.
            segment.hasPrefix(":")
                ? String(segment.dropFirst()) : PercentEncoding.encode(segment, keeping: "!$&'()*+,;=:@")
        }.joined(separator: "/")
    }
}
