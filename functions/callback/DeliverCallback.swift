import Downloads
import FunctionKit

/// Tells the receiver that a download's owner has named how it has ended: one attempt.
struct DeliverCallback: QueueFunction {
    func process(_ job: QueueJob<CallbackTask>, _ context: Context) async throws -> CallbackOutcome {
        var context = context
        if let requestID = job.payload.requestId { context.logger[metadataKey: "origin"] = "\(requestID)" }
        return try await CallbackDelivery(context).deliver(job)
    }
}
