import ArgumentParser
import Host

/// `ferry new`: makes a function that validates, builds and answers.
struct New: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a new function.",
        discussion: """
            Makes a folder with a function.json, a handler that compiles as it is, and a sample invocation in fixtures/. \
            Refuses a name that is taken, and a route or a queue that another function has.

            Examples:
              ferry new hello --http "GET /hello/:name"
              ferry new receipts --cloudevents "POST /orders"
              ferry new resize --queue images --on process
              ferry new report-failure --queue images --on failed
              ferry new clock --sse /clock
              ferry new chat --websocket /chat/:room
              ferry new cleanup --schedule "0 3 * * *" --timezone Europe/Berlin
            """)

    @Argument(help: "The function's name: lower-case letters, digits and hyphens.")
    var name: String

    @Option(help: ArgumentHelp("Requests: method and path.", valueName: "METHOD /path"))
    var http: String?

    @Option(help: ArgumentHelp("Requests that bring CloudEvents: method and path.", valueName: "POST /path"))
    var cloudevents: String?

    @Option(help: ArgumentHelp("A path that is answered with server-sent events.", valueName: "path"))
    var sse: String?

    @Option(help: ArgumentHelp("A path for sockets.", valueName: "path"))
    var websocket: String?

    @Option(help: ArgumentHelp("A queue, with --on.", valueName: "name"))
    var queue: String?

    @Option(
        help: ArgumentHelp("Its jobs (process) or its events (progress, completed, failed).", valueName: "moment"),
        completion: .list(["process", "progress", "completed", "failed"]))
    var on: String?

    @Option(help: ArgumentHelp("Times: five or six cron fields.", valueName: "pattern"))
    var schedule: String?

    @Option(help: ArgumentHelp("Where the schedule's fields are read.", valueName: "zone"))
    var timezone: String?

    @Option(name: .customLong("functions"), help: ArgumentHelp("The folder of functions.", valueName: "dir"))
    var functionsFolder = "functions"

    func validate() throws {
        guard [http, cloudevents, sse, websocket, queue, schedule].compactMap({ $0 }).count == 1 else {
            throw ValidationError(
                "Give one trigger: --http \"METHOD /path\", --cloudevents \"POST /path\", --sse, --websocket, --queue with --on, or --schedule."
            )
        }
        guard (queue == nil) == (on == nil) else { throw ValidationError("--queue and --on belong together.") }
        guard timezone == nil || schedule != nil else { throw ValidationError("--timezone belongs to --schedule.") }
    }

    func run() async throws {
        try await CommandFailure.reported {
            let members = [
                ("http", http), ("cloudevents", cloudevents), ("sse", sse), ("websocket", websocket), ("queue", queue),
                ("on", on),
                ("schedule", schedule), ("timezone", timezone),
            ].compactMap { key, value in value.map { (key: key, value: $0) } }
            let outcome = try await FunctionScaffold.make(.init(name: name, members: members), in: functionsFolder)
            let output = Terminal.output
            for file in outcome.files { output.line(file) }
            let folder = functionsFolder == "functions" ? "" : " --functions \(functionsFolder)"
            output.line("")
            output.line("Next:")
            output.line("  ferry validate\(folder)")
            output.line("  ferry test \(name)\(folder)")
            output.line("  ferry dev\(folder)")
        }
    }
}
