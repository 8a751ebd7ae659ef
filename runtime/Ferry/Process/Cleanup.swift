/// What must be closed, the last one opened first, also when the start stops halfway.
struct Cleanup: Sendable {
    private var steps: [@Sendable () async -> Void] = []

    mutating func add(_ step: @escaping @Sendable () async -> Void) { steps.append(step) }

    func run() async {
        for step in steps.reversed() { await step() }
    }
}
