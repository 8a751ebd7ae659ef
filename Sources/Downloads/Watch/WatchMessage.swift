public import FunctionKit
internal import NIOCore

/// A message to one who watches a job, ready to be sent.
public struct WatchMessage: Sendable, Hashable {
    /// The kinds of message, by their names on the wire.
    public enum Kind: String, Sendable, Hashable {
        /// The job: where a watcher begins, and after each change of its status.
        case status
        /// How far the job is, and the files that changed.
        case progress
        /// The job, which is ready.
        case complete
        /// An attempt failed.
        case error
    }

    /// The kind.
    public let kind: Kind
    /// The number; for one watcher it strictly increases.
    public let seq: Int64
    /// Whether nothing comes after it in the job's round.
    public let isFinal: Bool
    /// The whole message, `{"type","data","seq","timestamp"}`, UTF-8. Shared with other watchers.
    public let json: ByteBuffer

    /// A message is at most so long; the job of 1000 files that all failed is shorter.
    static let maxBytes = 4 << 20

    init(_ kind: Kind, seq: Int64, isFinal: Bool, json: ByteBuffer) {
        self.kind = kind
        self.seq = seq
        self.isFinal = isFinal
        self.json = json
    }

    /// Reads a message as it was published; the text is kept as it is. `nil` for what is no message.
    ///
    /// - Parameter json: What came on the channel of a job, from whomever.
    init?(published json: ByteBuffer) {
        guard json.readableBytes <= Self.maxBytes, Self.isText(json) else { return nil }
        if let form = json.withUnsafeReadableBytes(PublishedForm.init) {
            self.init(form.kind, seq: form.seq, isFinal: form.isFinal, json: json)
            return
        }
        // Another program, or a later version, may write the members in another order or more of them.
        guard let foreign = try? JSON.decode(Foreign.self, from: json), let kind = Kind(rawValue: foreign.type) else {
            return nil
        }
        let isFinal =
            switch kind {
            case .status: foreign.data.status == .cancelled || foreign.data.status == .expired
            case .progress: false
            case .complete: true
            case .error: foreign.data.final ?? false
            }
        self.init(kind, seq: foreign.seq, isFinal: isFinal, json: json)
    }

    private struct Foreign: Decodable {
        struct Data: Decodable {
            let status: JobStatus?
            let final: Bool?
        }

        let type: String
        let seq: Int64
        let data: Data
    }

    /// A socket's client closes it when a text is no UTF-8.
    private static func isText(_ json: ByteBuffer) -> Bool {
        (try? UTF8Span(validating: json.readableBytesUInt8Span)) != nil
    }

    /// The message as an event: the type is its name, the number its id.
    public var event: ServerSentEvent { ServerSentEvent(data: json, name: kind.rawValue, id: String(seq)) }

    /// The message for a socket.
    public var text: WebSocketMessage { WebSocketMessage(.text, json) }

    /// What a watcher is told first of a job: all that is published up to the record's `seq` is in it.
    ///
    /// - Parameters:
    ///   - record: The job.
    ///   - last: The highest number that the watcher has seen; messages up to it are left out.
    ///   - time: The time for which the status is told.
    /// - Returns: Up to two messages.
    static func snapshot(of record: JobRecord, after last: Int64, at time: Timestamp) -> [WatchMessage] {
        let status = record.status(at: time)
        var messages: [WatchMessage] = []
        func add(_ kind: Kind, _ message: JobMessage, seq: Int64, isFinal: Bool) {
            guard seq > last else { return }
            let json = message.json(record, status: status, seq: String(seq))
            messages.append(WatchMessage(kind, seq: seq, isFinal: isFinal, json: json))
        }
        switch status {
        case .queued, .processing: add(.status, .status, seq: record.seq, isFinal: false)
        case .cancelled, .expired: add(.status, .status, seq: record.seq, isFinal: true)
        case .ready:
            add(.status, .status, seq: record.seq - 1, isFinal: false)
            add(.complete, .complete, seq: record.seq, isFinal: true)
        case .failed:
            add(.status, .status, seq: record.seq - 1, isFinal: false)
            add(.error, .failure(isFinal: true), seq: record.seq, isFinal: true)
        }
        return messages
    }
}
