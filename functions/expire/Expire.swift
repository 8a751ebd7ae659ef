import Downloads
import FunctionKit

/// Deletes archives whose time is over, forgets jobs whose retention is over, and clears away what workers that died
/// have left in the object store.
struct Expire: ScheduledFunction {
    func run(_ tick: ScheduledTick, _ context: Context) async throws {
        let report = try await Sweeper(context).sweep()
        guard !report.isEmpty else { return }
        context.logger.info(
            "swept",
            metadata: [
                "expired": "\(report.expiredJobs)", "forgotten": "\(report.forgottenJobs)",
                "keys": "\(report.forgottenKeys)",
                "uploads": "\(report.abortedUploads)", "archives": "\(report.deletedArchives)",
                "failures": "\(report.failures)", "complete": "\(report.isComplete)",
            ])
    }
}
