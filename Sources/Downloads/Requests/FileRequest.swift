public import FunctionKit

/// What `check` and `start` accept: one file.
public struct FileRequest: Sendable, Hashable {
    /// The file's id, 10 000 to 100 000 000.
    public let fileID: Int64

    /// Reads and checks a request's body.
    ///
    /// - Parameter request: The request.
    /// - Throws: ``HTTPError``: 415, 400 `malformed_json`, or 400 `validation_failed` with every problem.
    public init(_ request: Request) throws {
        var reader = try RequestReader(request, known: ["file_id"])
        if let value = reader.member("file_id") {
            fileID = reader.fileID(value, field: "file_id") ?? 0
        } else {
            reader.report("file_id", "is required")
            fileID = 0
        }
        try reader.finish()
    }
}
