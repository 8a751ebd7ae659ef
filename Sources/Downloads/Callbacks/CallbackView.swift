internal import FunctionKit

/// A job's callback as its owner sees it.
public struct CallbackView: Sendable, Hashable {
    private let url: String
    private let callback: HistoryCallback

    init(url: String, _ callback: HistoryCallback) {
        self.url = url
        self.callback = callback
    }

    /// Writes it as the API shows it.
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.key("url")
            writer.value(url)
            writer.key("status")
            writer.value(callback.state.rawValue)
            writer.key("attempts")
            writer.value(callback.attempts)
            writer.key("lastStatus")
            writer.value(callback.answer)
            writer.key("lastError")
            writer.value(callback.error)
            writer.key("deliveredAt")
            writer.value(callback.deliveredAt?.rfc3339)
        }
    }

    /// What tells an answer with it from one with an earlier one; `nil` as long as nothing was tried.
    var tag: String? {
        callback.attempts == 0 && callback.state == .pending ? nil : "\(callback.attempts)\(callback.state.rawValue)"
    }
}

extension Context {
    /// How a job's callback stands.
    ///
    /// - Returns: `nil` when nobody is to be told, and while the history, which alone knows, is away.
    func callback(of job: JobRecord) async throws -> CallbackView? {
        guard let url = DownloadOptions(json: job.options).callbackURL else { return nil }
        guard let event = CallbackEvent(jobID: job.id.description, round: job.round, status: job.status) else {
            return CallbackView(url: url, HistoryCallback())
        }
        do {
            let known = try await bindings.history.find(job.id.description)?.callback
            return CallbackView(url: url, known?.standing(of: event) ?? HistoryCallback())
        } catch let error as any ClassifiedError where error.isUnavailable {
            try Task.checkCancellation()
            logger.debug("a callback's standing is not known", metadata: ["error": "\(error)"])
            return nil
        }
    }
}
