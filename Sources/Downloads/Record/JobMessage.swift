internal import FunctionKit
internal import NIOCore

/// A message to those who watch a job, published on `job:<jobId>` by the script that makes the change.
///
/// Its form is `{"type","data","seq","timestamp"}`. The script counts `seq`, so the text made here has a placeholder in
/// its stead: the character U+0001, which cannot occur in JSON.
enum JobMessage: Sendable, Hashable {
    /// The job, after a change of its status.
    case status
    /// The progress, and the files that changed.
    case progress
    /// The job, which is ready.
    case complete
    /// The failure of an attempt; whether it was the last.
    case failure(isFinal: Bool)

    static let placeholder = "\u{1}"

    /// The message's text.
    ///
    /// - Parameters:
    ///   - record: The job after the change.
    ///   - changed: The places of the files that changed.
    /// - Returns: JSON but for the placeholder.
    func text(_ record: JobRecord, changed: [Int]) -> String {
        var writer = JSONWriter(capacity: 512)
        writer.object { writer in
            writer.key("type")
            writer.value(type)
            writer.key("data")
            switch self {
            case .status, .complete:
                record.write(to: &writer, status: record.status, seq: Self.placeholder)
            case .progress:
                writer.object { writer in
                    writer.key("progress")
                    record.writeProgress(to: &writer)
                    writer.key("files")
                    writer.array { writer in
                        for place in changed { JobRecord.write(record.files[place], to: &writer) }
                    }
                }
            case .failure(let isFinal):
                writer.object { writer in
                    writer.key("code")
                    writer.value(record.failure?.code ?? ErrorClass.unknown.rawValue)
                    writer.key("message")
                    writer.value(record.failure?.message ?? "The job failed.")
                    writer.key("final")
                    writer.value(isFinal)
                }
            }
            writer.key("seq")
            writer.raw(Self.placeholder)
            writer.key("timestamp")
            writer.value(record.updatedAt.rfc3339)
        }
        return String(buffer: writer.buffer)
    }

    private var type: String {
        switch self {
        case .status: "status"
        case .progress: "progress"
        case .complete: "complete"
        case .failure: "error"
        }
    }
}
