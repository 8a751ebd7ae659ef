internal import FunctionKit

// Callbacks that are due and that the queue does not have: it was wiped, it has given them up because their workers died,
// or nobody came to queue them. The history counts their attempts, so that a callback that is lost again and again ends too.

extension Reconciler {
    /// Looks at the next page of due callbacks.
    ///
    /// - Returns: Whether all of its jobs were looked at.
    func settleCallbacks(_ jobs: [HistoryJob], _ report: inout ReconcileReport) async throws -> Bool {
        try await settle(jobs, &report) { job in try await settleCallback(of: job) }
    }

    private func settleCallback(of job: HistoryJob) async throws -> Outcome {
        guard let event = job.dueCallback, let callback = job.callback?.standing(of: event),
            // An archive whose time is over: the sweep expires it, and that is told.
            try job.status(at: .now) == event.status
        else { return .left }
        if let queued = try await stores.outbox.queue.find(event.id), queued.state != .ended { return .left }
        guard callback.attempts < stores.outbox.settings.attempts else { return try await giveUp(callback, job) }
        try await stores.outbox.requeue(event, of: job)
        context.logger.notice("a lost callback was queued again", metadata: ["callback": "\(event.id)"])
        return .raisedCallback
    }

    private func giveUp(_ callback: HistoryCallback, _ job: HistoryJob) async throws -> Outcome {
        var callback = callback
        callback.state = .failed
        callback.nextAt = nil
        callback.error = callback.error ?? "It was lost at its last attempt."
        return try await stores.history.record(callback, of: job.id) ? .failedCallback : .left
    }
}
