internal import Logging
internal import ServiceLifecycle

/// A trigger that can be ended without the others.
final class RunningTrigger: Sendable {
    private let group: ServiceGroup
    private let end = OneShot<Void>()

    init(_ trigger: any Service, logger: Logger) {
        var quiet = logger
        quiet.logLevel = max(quiet.logLevel, .warning)
        group = ServiceGroup(configuration: .init(services: [.init(service: trigger)], logger: quiet))
    }

    /// Runs until ``stop()`` or the shutdown of the process.
    func run() async throws {
        defer { end.set(()) }
        try await group.run()
    }

    /// Begins the end: nothing more is fetched.
    func stop() async { await group.triggerGracefulShutdown() }

    /// Waits for the end of ``run()``; for one caller.
    func waitUntilEnded() async { await end.value() }
}
