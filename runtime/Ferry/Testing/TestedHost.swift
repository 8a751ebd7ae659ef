import ArgumentParser
import Host

/// Where the functions run that are called with fixtures; shared by the commands that do so.
struct TestedHost: ParsableArguments {
    @OptionGroup var folders: FolderOptions

    @Option(
        name: .customLong("config"),
        help: ArgumentHelp("The configuration file, for what is not about stores and addresses.", valueName: "file"))
    var configurationFile: String?

    @Option(help: "local: the running host of the data folder; or the URL of a host's admin listener.")
    var target: String?

    @OptionGroup var credentials: TokenOptions

    func validate() throws {
        if let target, target != "local", HostAddress(target) == nil {
            throw ValidationError("--target must be local, or of the form http://host:port.")
        }
    }

    /// Calls functions one after the other, those of the target or else in a host of their own, and prints each result.
    ///
    /// - Parameters:
    ///   - calls: The calls.
    ///   - json: Whether nothing is printed.
    /// - Returns: The results, those of functions that do not compile first.
    /// - Throws: When there is no host, or none can be started.
    func results(of calls: [FixtureCall], json: Bool) async throws -> [FixtureResult] {
        if let target {
            let client = try AdminClient(target: target, token: credentials, dataFolder: folders.dataFolder)
            return try await Self.results(of: calls, client, json: json)
        }
        let names = Set(calls.map(\.function)).sorted()
        let outcomes = try await FunctionBuild.run(
            folder: folders.functionsFolder, only: names, dataFolder: folders.dataFolder)
        for problem in outcomes.flatMap(\.problems) { Terminal.errors.problem(problem.problem) }
        let built = outcomes.filter { $0.module != nil }.map(\.function)
        let broken = calls.filter { !built.contains($0.function) }.map { call in
            FixtureResult(call.function, call.file, reason: "\(call.function) does not compile")
        }
        if !json { for result in broken { result.show() } }
        guard !built.isEmpty else { return broken }
        let host = PrivateHost(
            functionsFolder: folders.functionsFolder, modulesFolder: folders.dataFolder,
            configurationFile: configurationFile)
        let whole = calls.filter { built.contains($0.function) }
        return broken + (try await host.run(built) { try await Self.results(of: whole, $0, json: json) })
    }

    private static func results(
        of calls: [FixtureCall], _ client: AdminClient, json: Bool
    ) async throws -> [FixtureResult] {
        var results: [FixtureResult] = []
        for call in calls {
            let result = try await call.run(client)
            if !json { result.show() }
            results.append(result)
        }
        return results
    }
}
