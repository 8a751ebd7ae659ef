internal import FunctionKit

// A worker learns of a cancellation when it next writes the record. While it waits for a slow store it writes nothing,
// so it also looks. Without Redis it asks the history, in which a cancellation is committed first.

extension AttemptReporter {
    /// The time between two looks at the record.
    private static let watchInterval = Duration.milliseconds(500)

    private enum Event: Sendable {
        case ended(Result<DownloadOutcome, any Error>)
        case lost
        case unwatched
    }

    /// Does the work until it has ended, or until the record shows that the job was cancelled or taken over: then the
    /// work is cancelled. It may have come to its end nevertheless, and then that counts.
    ///
    /// - Throws: What the work throws; ``DownloadsError`` with code `lostClaim` when it was cancelled so.
    /// - Cancellation: cancels the work and waits for its end.
    nonisolated func watching(
        _ work: @escaping @Sendable () async throws -> DownloadOutcome
    ) async throws -> DownloadOutcome {
        let (result, isLost) = await withTaskGroup(of: Event.self) { group in
            group.addTask {
                do { return .ended(.success(try await work())) } catch { return .ended(.failure(error)) }
            }
            group.addTask {
                do { try await self.watch() } catch { return .unwatched }
                return .lost
            }
            var isLost = false
            for await event in group {
                switch event {
                case .ended(let result):
                    group.cancelAll()
                    return (result, isLost)
                case .lost:
                    isLost = true
                    group.cancelAll()
                case .unwatched: continue
                }
            }
            preconditionFailure("The work ends before its group.")
        }
        if isLost, case .failure = result { throw DownloadsError(.lostClaim, "the job was cancelled or taken over") }
        return try result.get()
    }

    /// Looks at the record until the job is not this worker's any more. That Redis is away is no reason to stop: what is
    /// then written is guarded all the same.
    ///
    /// - Throws: `CancellationError` when the work has ended.
    private func watch() async throws {
        while true {
            try await Task.sleep(for: Self.watchInterval)
            do {
                guard let refusal = try await currentRefusal() else { continue }
                self.refusal = refusal
                return
            } catch {
                try Task.checkCancellation()
                context.logger.debug("the record could not be looked at", metadata: ["error": "\(error)"])
            }
        }
    }

    private func currentRefusal() async throws -> JobStore.Refusal? {
        do {
            return try await records.refusal(of: record.id, round: record.round, claim: record.claim)
        } catch let error as any ClassifiedError where error.isUnavailable {
            try Task.checkCancellation()
            guard let job = try await context.bindings.history.find(record.id.description) else { return nil }
            let status = JobStatus(rawValue: job.status)
            if job.round != record.round { return .init(reason: .otherRound, claim: record.claim, status: status) }
            guard let status, status.isFinished else { return nil }
            return .init(reason: .otherState, claim: record.claim, status: status)
        }
    }
}
