/// What must be closed, the last one opened first, also when the start stops halfway.
struct Cleanup: Sendable {
    private var steps: [@Sendable () async -> Void] = []

    mutating func add(_ step: @escaping @Sendable () async -> Void) { steps.append(step) }

    /// Runs what opens things, and closes them after it, whatever came of it.
    ///
    /// - Throws: What `body` throws.
    static func around(_ body: (inout Cleanup) async throws -> Void) async throws {
        var cleanup = Cleanup()
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(&cleanup))
        } catch {
            result = .failure(error)
        }
        // Owned by this call; every step has a bound, and must be made although the task may be cancelled by now.
        await Task { [cleanup] in await cleanup.run() }.value
        try result.get()
    }

    private func run() async {
        for step in steps.reversed() { await step() }
    }
}
