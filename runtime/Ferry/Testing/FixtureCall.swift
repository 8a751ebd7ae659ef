import Host

/// A function that is to be called with a fixture.
struct FixtureCall: Sendable {
    let function: String
    /// The fixture's path.
    let file: String
    /// Whether it is a recording: then what it does not expect is a difference too, and the call is not recorded.
    var isReplay = false
    /// The places whose differences do not count, with all below them.
    var ignored: [String] = []

    /// Calls the function and compares the answer; the host holds the function to its timeout.
    ///
    /// - Parameter client: The host's admin listener.
    /// - Returns: What came of it, also when there was no answer.
    /// - Throws: `CancellationError` when the task was cancelled.
    func run(_ client: AdminClient) async throws -> FixtureResult {
        do {
            let fixture = try Fixtures.read(file)
            let expectation = try Expectation(of: fixture, isExact: isReplay)
            let started = ContinuousClock.now
            let answer = try await client.invoke(function, fixture.text(), isReplay: isReplay)
            let time = ContinuousClock.now - started
            let differences = expectation.differences(from: answer).filter { difference in
                !ignored.contains { Self.holds($0, difference.path) }
            }
            return FixtureResult(function, file, time: time, differences: differences)
        } catch {
            try Task.checkCancellation()
            return FixtureResult(function, file, reason: "\(error)")
        }
    }

    private static func holds(_ place: String, _ path: String) -> Bool {
        guard path.hasPrefix(place) else { return false }
        let rest = path.dropFirst(place.count)
        return rest.isEmpty || rest.hasPrefix(".") || rest.hasPrefix("[")
    }
}
