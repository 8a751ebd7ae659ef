import ArgumentParser
import BullQueue
import Downloads
import FunctionKit
import Glibc
import Host

/// Ferry's own queue of downloads, by hand.
///
/// What a download's truth is, the history tells; the queue only delivers. So here a job is thrown away by cancelling the
/// download, and tried again by beginning its next round: a plain change of the queue would be undone by the history, or
/// refused by the record.
struct OwnDownloads {
    /// What became of several jobs.
    struct Outcome {
        var count = 0
        var failures = 0
    }

    private let control: BullQueueControl
    private let context: Context
    private let opened: OpenHistory
    private let history: any HistoryStore

    /// Whether a queue is the one whose jobs are downloads.
    static func isOwn(_ queue: String, _ access: QueueAccess) -> Bool {
        queue == DownloadTask.queue && access.prefix == access.configuration.queue.prefix
    }

    /// Does something to the downloads behind a queue, and prints to how many.
    ///
    /// - Parameters:
    ///   - access: The queues.
    ///   - queue: The queue's name.
    ///   - done: The word for it, such as `retried`.
    ///   - body: Does it.
    /// - Returns: `false` when the queue's jobs are no downloads: then nothing was done.
    /// - Throws: ``CommandFailure`` when there is no history; exit status 1 when some were not done.
    static func handle(
        _ access: QueueAccess, queue: String, done: String, _ body: (OwnDownloads) async throws -> Outcome
    ) async throws -> Bool {
        guard isOwn(queue, access) else { return false }
        let downloads = try await OwnDownloads(access, queue: queue)
        let result: Result<Outcome, any Error>
        do {
            result = .success(try await body(downloads))
        } catch {
            result = .failure(error)
        }
        await downloads.opened.close()
        let outcome = try result.get()
        Terminal.output.line("\(QueueReport.jobs(outcome.count)) \(done)")
        if outcome.failures > 0 { throw ExitCode.failure }
        return true
    }

    /// - Throws: ``CommandFailure`` when there is no history.
    private init(_ access: QueueAccess, queue: String) async throws {
        opened = try await OpenHistory(
            access.configuration.history, dataFolder: access.dataFolder, mustExist: true)
        history = opened.store
        control = try BullQueueControl(queue: queue, prefix: access.prefix, client: access.client)
        var settings = Settings()
        settings[DownloadsConfiguration.self] = access.configuration.downloads
        settings[CallbacksConfiguration.self] = access.configuration.callbacks.delivery
        let bindings = Bindings(
            keyValue: access.client, history: history,
            queues: Queues(client: access.client, prefix: access.prefix, manifests: [:]), settings: settings)
        context = Context(
            logger: access.logger, function: "queue", requestID: "ferry-\(getpid())", deadline: .now + .seconds(3600),
            // Whoever may read the configuration may change everybody's jobs.
            user: .local, bindings: bindings)
    }

    /// Throws away the jobs that wait: their downloads are cancelled. What fails is printed.
    func drain(_ states: [BullJobState]) async throws -> Outcome {
        var outcome = Outcome()
        for state in states {
            await each(try await control.allIDs(in: state), &outcome) { id in
                if try await cancel(id) { return true }
                return try await control.clean([id], in: state).first?.result == .done
            }
        }
        return outcome
    }

    /// Throws away failed jobs; the downloads of those that the history holds as unfinished are cancelled. What fails is
    /// printed.
    func purge(_ ids: [String]) async -> Outcome {
        var outcome = Outcome()
        await each(ids, &outcome) { id in
            guard try await control.states(of: [id]).first == .failed else { throw CommandFailure("it is not failed") }
            _ = try await cancel(id)
            _ = try await control.clean([id], in: .failed)
            return true
        }
        return outcome
    }

    /// Begins the next round of downloads. What fails is printed.
    func retry(_ ids: [String]) async -> Outcome {
        var outcome = Outcome()
        await each(ids, &outcome) { id in
            guard let job = JobID(id) else { throw CommandFailure("it is no download") }
            _ = try await JobRetry(context).retry(job)
            return true
        }
        return outcome
    }

    /// Cancels a download that has not ended; that takes its job out of the queue, too.
    ///
    /// - Returns: `false` when the history knows no such download or it has ended.
    private func cancel(_ id: String) async throws -> Bool {
        guard let job = JobID(id), let known = try await history.find(job.description),
            JobStatus.unfinished.names.contains(known.status)
        else { return false }
        _ = try await JobCancellation(context).cancel(job)
        return true
    }

    private func each(_ ids: [String], _ outcome: inout Outcome, _ body: (String) async throws -> Bool) async {
        for id in ids {
            do {
                if try await body(id) { outcome.count += 1 }
            } catch {
                outcome.failures += 1
                let reason = (error as? HTTPError)?.message ?? "\(error)"
                Terminal.errors.line("ferry: \(Terminal.plain(id)): \(reason)")
            }
        }
    }
}
