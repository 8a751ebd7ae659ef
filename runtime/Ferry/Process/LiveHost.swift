import Host

/// What can be changed in a host while it serves.
struct LiveHost: Sendable {
    /// Gives what makes functions callable under a configuration.
    typealias MakeSetup = @Sendable (Configuration) -> Deployment.Setup

    let deployment: Deployment
    let server: HTTPServer
    let queues: Queues
    /// What is served from the start on.
    let plan: ReloadPlan
    let makeSetup: MakeSetup

    /// Serves what a plan says from now on. Calls must not overlap.
    ///
    /// - Parameters:
    ///   - plan: The functions.
    ///   - configuration: What functions and triggers are set up by from now on; `nil` when that is as it was.
    /// - Throws: `Deployment.Refusal`, `RouteConflict`; then all is as it was.
    func serve(_ plan: ReloadPlan, configuration: Configuration? = nil) async throws {
        try await deployment.apply(plan.items, setup: configuration.map(makeSetup)) { [server] runners in
            try await server.replace(functions: runners)
        }
        queues.replace(manifests: plan.manifests)
    }
}
