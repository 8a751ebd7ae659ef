internal import FunctionKit

// Callbacks that are due and that the queue does not have: it was wiped, it has given them up because their workers died,
// or nobody came to queue them. The history counts their attempts, so that a callback that is lost again and again ends too.

extension Reconciler {
    /// Queues due callbacks that are lost.
    ///
    /// - Returns: `false` when another holder has the lease.
    func raiseCallbacks(
        at now: Timestamp, _ report: inout ReconcileReport, _ lease: inout Lease
    ) async throws -> Bool {
        let bound = bound(at: now)
        var count = 0
        while !isLate, count < Self.lookCount {
            let jobs = try await stores.history.listCallbacks(
                states: JobStatus.finished.names, dueBefore: bound, after: report.next.callbacks, limit: Self.pageCount)
            if !jobs.isEmpty, try await !take(&lease) { return false }
            guard try await settle(jobs, &report, settleCallback) else { break }
            count += jobs.count
            report.next.callbacks = Self.end(of: jobs)
            if report.next.callbacks == nil { break }
        }
        return true
    }

    private func settleCallback(_ job: HistoryJob) async throws -> Outcome {
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
