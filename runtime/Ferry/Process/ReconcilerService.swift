import Downloads
import FunctionKit
import Logging
import ServiceLifecycle

/// Has accepted jobs that the queue has lost worked all the same, as long as the process serves.
struct ReconcilerService: Service, CustomStringConvertible {
    let reconciliation: Reconciliation

    init(_ bindings: Bindings, logger: Logger) { reconciliation = Reconciliation(bindings, logger: logger) }

    var description: String { "reconciler" }

    func run() async throws {
        await cancelWhenGracefulShutdown { await reconciliation.run() }
    }
}
