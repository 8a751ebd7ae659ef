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
    /// Nothing: a number that is counted and not used. See ``ending(_:)``.
    case spare

    static let placeholder = "\u{1}"

    /// What watchers are told of a change to a status in which a round is over.
    ///
    /// The terminal message is the last thing that one round tells of a job that is ready or failed, so a watcher that
    /// comes later is told the same number with it. The spare number before it is then that of the status which such a
    /// watcher gets first.
    static func ending(_ status: JobStatus) -> [JobMessage] {
        switch status {
        case .ready: [.status, .spare, .complete]
        case .failed: [.status, .spare, .failure(isFinal: true)]
        case .queued, .processing, .cancelled, .expired: [.status]
        }
    }

    /// The message's text.
    ///
    /// - Parameters:
    ///   - record: The job after the change.
    ///   - changed: The places of the files that changed.
    /// - Returns: JSON but for the placeholder; empty when there is nothing to publish.
    func text(_ record: JobRecord, changed: [Int]) -> String {
        self == .spare
            ? "" : String(buffer: json(record, status: record.status, changed: changed, seq: Self.placeholder))
    }

    /// The message with a number that is known already, or with the placeholder; a spare one has none.
    func json(_ record: JobRecord, status: JobStatus, changed: [Int] = [], seq: String) -> ByteBuffer {
        var writer = JSONWriter(capacity: 512 + (self == .progress ? changed.count : record.files.count) * 64)
        writer.object { writer in
            writer.key("type")
            writer.value(type)
            writer.key("data")
            switch self {
            case .status, .complete:
                record.write(to: &writer, status: status, seq: seq)
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
            case .spare: writer.raw("null")
            }
            writer.key("seq")
            writer.raw(seq)
            writer.key("timestamp")
            writer.value(record.updatedAt.rfc3339)
        }
        return writer.buffer
    }

    private var type: String {
        switch self {
        case .status: "status"
        case .progress: "progress"
        case .complete: "complete"
        case .failure: "error"
        case .spare: ""
        }
    }
}
