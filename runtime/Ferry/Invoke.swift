import ArgumentParser
import Glibc
import Host

/// `ferry invoke`: calls a function of a running host by hand.
struct Invoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Call a function of a running host by hand.",
        discussion: """
            The function runs within its limits, as its trigger would run it, but without the trigger: a queue's \
            function is called with a job that is in no queue. -d is an invocation in the form of fixtures (see \
            docs/functions.md); without it the first of the function's fixtures/*.json is taken, or an empty one.

            With --target it is the token of the admin listener that is asked for, the contents of the host's \
            <data>/admin.token; without, the data folder's own is used.

            Prints the answer on standard output, status and time on standard error. The exit status is 0 for an \
            answer of 2xx, a job that completed or a socket that closed with 1000, 1 for a failure.

            Examples:
              ferry invoke hello -d '{"parameters":{"name":"Ada"}}'
              ferry invoke hello --path /hello/Ada -H 'Accept: text/plain'
              ferry invoke process -d @job.json --attempt 2
              ferry invoke cleanup --event schedule
              ferry invoke hello --target http://127.0.0.1:3001 --token-file admin.token
            """)

    @Argument(help: "The function's name.")
    var name: String

    @Option(
        name: .short, help: ArgumentHelp("The invocation: JSON, @file, or - for standard input.", valueName: "json"))
    var data: String?

    @Option(name: [.customShort("H"), .customLong("header")], help: "A request's header field; may be given often.")
    var headers: [String] = []

    @Option(help: "What the function must be called by: process, progress, completed, failed or schedule.")
    var event: String?

    @Option(help: "The attempt, from 1, of a job or a tick.")
    var attempt: Int?

    @Option(help: "The request's path, instead of the route with its parameters.")
    var path: String?

    @Option(help: "The request's method; it must be the function's.")
    var method: String?

    @Option(help: "local: the host of the data folder; or the URL of a host's admin listener.")
    var target = "local"

    @OptionGroup var credentials: TokenOptions

    @Flag(help: "Print the whole answer as one line of JSON.")
    var json = false

    @OptionGroup var folders: FolderOptions

    func validate() throws {
        let events = ["process", "progress", "completed", "failed", "schedule"]
        if let event, !events.contains(event) {
            throw ValidationError("--event must be one of \(events.joined(separator: ", ")).")
        }
        if let attempt, attempt < 1 { throw ValidationError("--attempt must be at least 1.") }
        for header in headers where !header.contains(":") {
            throw ValidationError("-H must be of the form 'Name: value'; this is not: \(Terminal.plain(header))")
        }
        if target != "local", HostAddress(target) == nil {
            throw ValidationError("--target must be local, or of the form http://host:port.")
        }
        if let data, !data.hasPrefix("@"), data != "-" {
            do {
                _ = try PositionedJSON.parse(Array(data.utf8))
            } catch {
                throw ValidationError("-d must be JSON, @file or -: \(error)")
            }
        }
        let isPlain = name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "-")
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        guard isPlain, !name.isEmpty else { throw ValidationError("\(Terminal.plain(name)) is no function's name.") }
    }

    func run() async throws {
        try await CommandFailure.reported {
            let client = try AdminClient(target: target, token: credentials, dataFolder: folders.dataFolder)
            let body = try invocation().text()
            let started = ContinuousClock.now
            let answer = try await client.invoke(name, body)
            try report(answer, time: ContinuousClock.now - started)
        }
    }

    /// What the function is called with: the data or a fixture, with what the options say over it.
    private func invocation() throws -> PositionedJSON {
        let json: PositionedJSON
        if let data {
            json = try Fixtures.parse(try Payload.read(data), named: "-d")
        } else if let fixture = Fixtures.all(of: name, in: folders.functionsFolder).first {
            json = try Fixtures.read(fixture)
        } else {
            json = try Fixtures.parse("{}", named: "-d")
        }
        var result = json
        if let event { result = result.setting("kind", .string(event)) }
        if let attempt { result = result.setting("attempt", .number("\(attempt)")) }
        if let path { result = result.setting("path", .string(path)) }
        if let method { result = result.setting("method", .string(method.uppercased())) }
        guard !headers.isEmpty else { return result }
        var fields = result["headers"] ?? PositionedJSON(position: json.position, value: .object([]))
        for header in headers {
            let parts = header.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            fields = fields.setting(String(parts[0]), .string(String(parts[1].drop { $0 == " " })))
        }
        return result.setting("headers", fields.value)
    }

    private func report(_ answer: PositionedJSON, time: Duration) throws {
        let status = answer["status"]?.integer
        let outcome = answer["outcome"]?.string
        if json {
            LogOutput.announce(answer.text())
        } else if let body = answer["body"]?.string ?? answer["bodyBase64"]?.string {
            let parsed = try? PositionedJSON.parse(Array(body.utf8))
            LogOutput.announce(parsed?.text(isPretty: true) ?? body)
        } else {
            LogOutput.announce(answer.text(isPretty: true))
        }
        var line = status.map(String.init) ?? outcome ?? "no outcome"
        if let code = answer["closeCode"]?.integer { line += ", closed with \(code)" }
        LogOutput.write("\(line)  \(Int(time / .milliseconds(1))) ms\n", to: STDERR_FILENO)
        let isOrderly = status == 101 && answer["closeCode"]?.integer == 1000
        guard outcome == "completed" || isOrderly || status.map((200..<300).contains) == true else {
            throw ExitCode.failure
        }
    }
}

extension PositionedJSON {
    /// An object with one member put in place of another of that name, or at its end.
    fileprivate func setting(_ key: String, _ value: Value) -> PositionedJSON {
        guard var members else { return self }
        members.removeAll { $0.key == key }
        let member = PositionedJSON(position: position, value: value)
        members.append(Member(key: key, keyPosition: position, value: member))
        return PositionedJSON(position: position, value: .object(members))
    }
}
