internal import FunctionKit

/// An entry of a queue's stream.
struct EventEntry: Sendable {
    let id: String
    private let fields: [String: String]

    /// Reads `[id, [field, value, …]]`.
    init?(_ reply: RESPValue) {
        guard let parts = reply.array, parts.count == 2, let id = parts[0].string, let flat = parts[1].array else {
            return nil
        }
        self.id = id
        var fields: [String: String] = [:]
        for index in stride(from: 0, to: flat.count - 1, by: 2) {
            if let field = flat[index].string { fields[field] = flat[index + 1].string }
        }
        self.fields = fields
    }

    /// The event, or `nil` for one that tells nothing here.
    func event(queue: String) -> QueueEvent? {
        guard let kind = fields["event"].flatMap(QueueEvent.Kind.init), let jobID = fields["jobId"] else { return nil }
        let data =
            switch kind {
            case .progress: fields["data"] ?? "null"
            case .completed: fields["returnvalue"] ?? "null"
            case .failed: fields["failedReason"] ?? ""
            }
        let at = BullEventReader.milliseconds(id).map(Timestamp.init(milliseconds:))
        return QueueEvent(kind: kind, queue: queue, jobID: jobID, data: data, at: at ?? .now)
    }
}
