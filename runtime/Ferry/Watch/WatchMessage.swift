import FunctionKit
import NIOCore

/// A message about a job, as streams and sockets carry it: `{"type","data","seq","timestamp"}`.
struct WatchMessage {
    enum Content {
        case status(DownloadClient.Job)
        case progress(DownloadClient.Job.Progress)
        case complete(DownloadClient.Job)
        case failure(message: String, isFinal: Bool)
        /// A type that this client does not know.
        case unknown
    }

    let content: Content
    let seq: Int64
    /// The whole message, on one line.
    let line: String

    /// Reads a message.
    ///
    /// - Throws: ``CommandFailure`` when the text is no message of the API.
    init(_ text: String) throws {
        do {
            let form = try JSON.decode(Form.self, from: text)
            content = form.content
            seq = form.seq
        } catch {
            throw CommandFailure("the host sent something that is no message of this API: \(error)")
        }
        line = text.replacing("\n", with: " ")
    }

    /// Makes of an answer of the job's route the message that a stream would have sent for it.
    ///
    /// - Throws: ``CommandFailure`` when the body is no job.
    init(job body: ByteBuffer) throws {
        let text = String(buffer: body)
        let job: DownloadClient.Job
        let state: State
        do {
            job = try JSON.decode(DownloadClient.Job.self, from: body)
            state = try JSON.decode(State.self, from: body)
        } catch {
            throw CommandFailure("the host answered with something that is no job of this API: \(error)")
        }
        seq = state.seq
        var writer = JSONWriter(capacity: text.utf8.count + 128)
        let (type, data): (String, String?)
        switch job.status {
        case "ready": (content, type, data) = (.complete(job), "complete", text)
        case "failed":
            let message = job.error ?? "The job failed."
            (content, type, data) = (.failure(message: message, isFinal: true), "error", nil)
        default: (content, type, data) = (.status(job), "status", text)
        }
        writer.object { writer in
            writer.key("type")
            writer.value(type)
            writer.key("data")
            if let data {
                writer.raw(data)
            } else {
                writer.object { writer in
                    writer.key("code")
                    writer.value(state.errorCode ?? "unknown_error")
                    writer.key("message")
                    writer.value(job.error ?? "The job failed.")
                    writer.key("final")
                    writer.value(true)
                }
            }
            writer.key("seq")
            writer.raw(String(state.seq))
            writer.key("timestamp")
            writer.value(state.updatedAt)
        }
        line = String(buffer: writer.buffer).replacing("\n", with: " ")
    }

    /// How the job ended, when this message says that it did.
    var outcome: WatchOutcome? {
        switch content {
        case .complete: .ready
        case .failure(let message, true): .failed(message)
        case .status(let job) where job.status == "cancelled": .cancelled
        case .status(let job) where job.status == "expired": .expired
        case .status, .progress, .failure, .unknown: nil
        }
    }

    private struct State: Decodable {
        let seq: Int64
        let updatedAt: String
        let errorCode: String?
    }

    private struct Form: Decodable {
        private struct Change: Decodable { let progress: DownloadClient.Job.Progress }
        private struct Failure: Decodable {
            let message: String
            let final: Bool
        }
        private enum Key: CodingKey { case type, data, seq }

        let content: Content
        let seq: Int64

        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: Key.self)
            seq = try values.decode(Int64.self, forKey: .seq)
            switch try values.decode(String.self, forKey: .type) {
            case "status": content = .status(try values.decode(DownloadClient.Job.self, forKey: .data))
            case "progress": content = .progress(try values.decode(Change.self, forKey: .data).progress)
            case "complete": content = .complete(try values.decode(DownloadClient.Job.self, forKey: .data))
            case "error":
                let failure = try values.decode(Failure.self, forKey: .data)
                content = .failure(message: failure.message, isFinal: failure.final)
            default: content = .unknown
            }
        }
    }
}
