import ArgumentParser
import Host

/// `ferry test`: runs the fixtures of functions as regression tests.
struct Test: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the fixtures of functions as tests.",
        discussion: """
            Calls each function with each of its fixtures/*.json, in the order of names, and compares what comes of it \
            with the fixture's "expect" (see docs/functions.md). What is not built is built. The functions run in a host \
            of their own, on empty stores in a folder that goes with it; nothing works the queues there. With --target \
            they are those of a running host.

            The exit status is 1 when a fixture has failed; all those of a function that does not compile have.

            Examples:
              ferry test
              ferry test hello process
              ferry test --target local
              ferry test hello --target http://127.0.0.1:3001 --token-file admin.token --json
            """)

    @Argument(help: "The functions to test; all by default.", completion: FunctionNames.completion)
    var names: [String] = []

    @OptionGroup var host: TestedHost

    @Flag(help: "Print a JSON array.")
    var json = false

    func run() async throws {
        try await CommandFailure.reported {
            let all = try FunctionCatalog.read(host.folders.functionsFolder).names
            let tests = (names.isEmpty ? all : all.filter(names.contains)).map { name in
                (function: name, files: Fixtures.all(of: name, in: host.folders.functionsFolder))
            }
            for name in names where tests.first(where: { $0.function == name })?.files.isEmpty != false {
                guard all.contains(name) else {
                    throw CommandFailure("there is no function \"\(Terminal.plain(name))\"")
                }
                throw CommandFailure(
                    "\(name) has no fixtures: there is no \(Fixtures.folder(of: name, in: host.folders.functionsFolder))"
                        + "/*.json; \"ferry event \(name)\" prints a sample of one")
            }
            let calls = tests.flatMap { test in test.files.map { FixtureCall(function: test.function, file: $0) } }
            guard !calls.isEmpty else {
                throw CommandFailure("no function of \(host.folders.functionsFolder) has fixtures")
            }
            let results = try await host.results(of: calls, json: json)
            try FixtureResult.report(results, json: json)
        }
    }
}
