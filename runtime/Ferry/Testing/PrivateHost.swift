import ArgumentParser
import FunctionKit
import Host
import Synchronization

/// A host of a command's own, for calls by hand: embedded stores in a folder that goes with it, no port, no triggers.
struct PrivateHost: Sendable {
    /// How long the admin listener may take to come.
    private static let startTime = Duration.seconds(30)

    let functionsFolder: String
    /// Where compiled modules lie and are left.
    let modulesFolder: String
    let configurationFile: String?

    /// Runs a host with some functions while a closure uses it.
    ///
    /// - Parameters:
    ///   - names: The functions.
    ///   - body: Uses the host's admin listener; cancelled at Ctrl-C.
    /// - Returns: What the closure returns.
    /// - Throws: What the host or the closure throws; exit status 130 at Ctrl-C.
    func run<Output: Sendable>(
        _ names: [String], _ body: @escaping @Sendable (AdminClient) async throws -> Output
    ) async throws -> Output {
        let scratch = try ScratchFolder()
        defer { scratch.remove() }
        var options = HostProcess.Options(
            functionsFolder: functionsFolder, dataFolder: scratch.path, configurationFile: configurationFile,
            only: names)
        options.modulesFolder = modulesFolder
        options.isPrivate = true
        let result = Box<Result<Output, any Error>>()
        try await HostProcess(options).run { running in
            do {
                let client = try await Self.client(running.dataFolder)
                result.set(.success(try await body(client)))
            } catch is CancellationError {
                return
            } catch {
                result.set(.failure(error))
            }
        }
        guard let output = result.value else { throw ExitCode(130) }
        return try output.get()
    }

    private static func client(_ dataFolder: String) async throws -> AdminClient {
        let deadline = ContinuousClock.now + startTime
        while !AdminSocket.isServed(AdminSocket.path(in: dataFolder)), ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(5))
        }
        return try AdminClient(target: "local", token: nil, dataFolder: dataFolder)
    }

    /// A value that a closure leaves behind.
    private final class Box<Value: Sendable>: Sendable {
        private let stored = Mutex<Value?>(nil)

        var value: Value? { stored.withLock { $0 } }

        func set(_ value: Value) { stored.withLock { $0 = value } }
    }
}
