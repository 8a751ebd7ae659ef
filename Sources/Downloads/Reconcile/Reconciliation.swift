public import FunctionKit
internal import NIOCore

/// Looks for lost jobs again and again, in one process at a time; see ``Reconciler``.
public struct Reconciliation: Sendable {
    private let holder = JobID().description
    private let logger: Logger
    private let bindings: Bindings
    private let settings: DownloadsConfiguration

    /// Makes it; nothing is done before ``run()``.
    ///
    /// - Parameters:
    ///   - bindings: History, Redis and queues, and the settings of the downloads.
    ///   - logger: Gets what was done, and that stores are away.
    public init(_ bindings: Bindings, logger: Logger) {
        self.bindings = bindings
        self.logger = logger
        settings = bindings.settings()
    }

    /// Looks until cancelled, then gives the lease back. While a store is away it waits for the next time.
    public func run() async {
        var place = ReconcilePlace()
        var isAway = false
        while (try? await Task.sleep(for: pause)) != nil {
            // The lease is taken once for a look, so a look ends well within it.
            let context = Context(
                logger: logger, function: "reconciler", requestID: "reconciler-\(JobID())",
                deadline: .now + settings.reconcileLease / 2, bindings: bindings)
            do {
                let report = try await Reconciler(context).look(as: holder, after: place)
                place = report?.next ?? ReconcilePlace()
                isAway = false
                if let report, !report.isEmpty { log(report) }
            } catch {
                if Task.isCancelled { break }
                // Once for each outage.
                logger.log(
                    level: isAway ? .debug : .warning, "lost jobs cannot be looked for",
                    metadata: ["error": "\(error)"])
                isAway = true
            }
        }
        do {
            // Owned by this call; it ends with the history's deadline. A task of its own, because this one is cancelled.
            try await Task { try await bindings.history.endLease(Reconciler.leaseName, of: holder) }.value
        } catch {
            logger.debug("the lease could not be given back", metadata: ["error": "\(error)"])
        }
    }

    /// Processes must not look in step.
    private var pause: Duration { settings.reconcileInterval * Double.random(in: 0.9...1.1) }

    private func log(_ report: ReconcileReport) {
        logger.info(
            "reconciled",
            metadata: [
                "raised": "\(report.raisedJobs)", "closed": "\(report.closedJobs)", "failed": "\(report.failedJobs)",
                "told": "\(report.toldJobs)", "callbacks": "\(report.raisedCallbacks)",
                "failed_callbacks": "\(report.failedCallbacks)", "failures": "\(report.failures)",
            ])
    }
}
