import ArgumentParser
import Host

/// `ferry replay`: runs recorded invocations again.
struct Replay: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run recorded invocations again and show what differs.",
        discussion: """
            "ferry serve --record" keeps each invocation in the data folder, as recordings/<time>-<function>-<id>.json. \
            Replaying calls the function by hand with the same input, in the data folder's running host or, where none \
            runs, in one of its own as "ferry test" does, and compares status, headers and body, the events, the messages \
            or the job's outcome with those that were recorded. What every answer has anew (date, request id) does not \
            count. Secrets are not in a recording: "<redacted>" is sent in their place.

            The exit status is 1 when something differs. --save makes a recording a fixture of its function instead, \
            which "ferry test" runs.

            Examples:
              ferry replay 5d0c1f2e
              ferry replay .ferry/recordings/20260131T120000.000Z-hello-5d0c1f2e.json --ignore body.createdAt
              ferry replay --since 1h
              ferry replay --since 30m hello
              ferry replay 5d0c1f2e --save umlauts
            """)

    @Argument(help: "The id of a recording, or a file; with --since the name of a function.")
    var what: String?

    @Option(help: ArgumentHelp("Replay all that were recorded within a time, such as 30m or 1h.", valueName: "time"))
    var since: ArgumentDuration?

    @Option(help: ArgumentHelp("A place whose differences do not count, with all below it.", valueName: "path"))
    var ignore: [String] = []

    @Option(help: ArgumentHelp("Write the recording as a fixture of this name instead.", valueName: "name"))
    var save: String?

    @OptionGroup var host: TestedHost

    @Flag(help: "Print a JSON array.")
    var json = false

    func validate() throws {
        guard what != nil || since != nil else { throw ValidationError("Give an id, a file, or --since.") }
        guard let save else { return }
        guard since == nil else { throw ValidationError("--save takes one recording: give its id or its file.") }
        let isPlain = save.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
        guard isPlain, !save.isEmpty, !save.hasPrefix(".") else {
            throw ValidationError("--save must be a name of letters, digits, hyphens, underscores and dots.")
        }
    }

    func run() async throws {
        try await CommandFailure.reported {
            let recordings = Recordings(dataFolder: host.folders.dataFolder)
            let files: [String]
            if let since {
                files = recordings.files(since: since.duration, of: what).map(\.path)
            } else if let what, what.contains("/") || what.hasSuffix(".json") {
                files = [what]
            } else {
                files = [try recordings.file(id: what ?? "")]
            }
            let calls = try files.map { FixtureCall(function: try Self.function(of: $0), file: $0) }
            guard let first = calls.first else {
                throw CommandFailure("nothing was recorded in \(recordings.folder) within that time")
            }
            if let save { return try keep(first, as: save) }
            var tested = host
            let socket = AdminSocket.path(in: host.folders.dataFolder)
            if tested.target == nil, AdminSocket.isServed(socket) { tested.target = "local" }
            let exact = calls.map { call in
                FixtureCall(function: call.function, file: call.file, isReplay: true, ignored: ignore)
            }
            let results = try await tested.results(of: exact, json: json)
            try FixtureResult.report(results, json: json, words: ("the same", "different"))
        }
    }

    /// The function that a recording names.
    private static func function(of file: String) throws -> String {
        guard let name = try Fixtures.read(file)["recorded"]?["function"]?.string else {
            throw CommandFailure("\(file) is no recording: it does not name its function under \"recorded\"")
        }
        return name
    }

    private func keep(_ call: FixtureCall, as name: String) throws {
        let functions = host.folders.functionsFolder
        guard try FunctionCatalog.read(functions).names.contains(call.function) else {
            throw CommandFailure("\(functions) has no function \"\(Terminal.plain(call.function))\"")
        }
        let path = "\(Fixtures.folder(of: call.function, in: functions))/\(name).json"
        try FixtureFile.write(try Fixtures.read(call.file), to: path)
        Terminal.output.line(path)
    }
}
