import ArgumentParser
import FunctionKit
import Host

/// `ferry list`: the functions of a folder, with what calls them and how far they are.
struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List functions.",
        discussion: """
            Shows each function with its trigger, its route, queue or times, its timeout and its state: built, stale (its \
            module is of other sources or another Ferry), not built, or error.

            Examples:
              ferry list
              ferry list --json
            """)

    @Flag(help: "Print a JSON array.")
    var json = false

    @OptionGroup var folders: FolderOptions

    func run() async throws {
        try await CommandFailure.reported {
            try await CommandFailure.reported {
                let items = try await FunctionListing.list(
                    folder: folders.functionsFolder, dataFolder: folders.dataFolder)
                let output = Terminal.output
                if json {
                    output.line(try JSON.text(items.map(Row.init)))
                    return
                }
                let rows = items.map(Row.init)
                output.table(
                    ["NAME", "TRIGGER", "ROUTE, QUEUE OR TIMES", "TIMEOUT", "STATE"], rows.map(\.cells),
                    colours: rows.map(\.colour))
                for problem in items.flatMap(\.problems) { Terminal.errors.problem(problem.problem) }
            }
        }
    }

    /// One function as it is printed.
    private struct Row: Encodable {
        struct Problem: Encodable {
            let file: String
            let line: Int?
            let column: Int?
            let reason: String
        }

        let name: String
        let trigger: String?
        let route: String?
        let queue: String?
        let on: String?
        let schedule: String?
        let timezone: String?
        let timeout: String?
        let concurrency: Int?
        let state: FunctionListing.State
        let problems: [Problem]

        init(_ item: FunctionListing.Item) {
            name = item.name
            state = item.state
            concurrency = item.manifest?.concurrency
            timeout = item.manifest.map { ManifestValues.text($0.timeout) }
            problems = item.problems.map {
                Problem(
                    file: $0.problem.file, line: $0.problem.line, column: $0.problem.column, reason: $0.problem.reason)
            }
            var target = Target()
            switch item.manifest?.trigger {
            case .http(let method, let path): target = Target(trigger: "http", route: "\(method) \(path)")
            case .cloudEvents(let method, let path):
                target = Target(trigger: "cloudevents", route: "\(method) \(path)")
            case .sse(let path): target = Target(trigger: "sse", route: "GET \(path)")
            case .webSocket(let path): target = Target(trigger: "websocket", route: "GET \(path)")
            case .queue(let name, let moment): target = Target(trigger: "queue", queue: name, on: moment.rawValue)
            case .schedule(let pattern, let zone):
                target = Target(trigger: "schedule", schedule: pattern, timezone: zone)
            case nil: break
            }
            (trigger, route, queue, on) = (target.trigger, target.route, target.queue, target.on)
            (schedule, timezone) = (target.schedule, target.timezone)
        }

        private struct Target {
            var trigger: String?
            var route: String?
            var queue: String?
            var on: String?
            var schedule: String?
            var timezone: String?
        }

        var cells: [String] {
            let times = schedule.map { timezone == "UTC" ? $0 : "\($0) (\(timezone ?? "UTC"))" }
            let target = route ?? queue.map { "\($0) \(on ?? "")" } ?? times ?? "-"
            return [name, trigger ?? "-", target, timeout ?? "-", state.rawValue]
        }

        var colour: Terminal.Colour? {
            switch state {
            case .built: .green
            case .stale, .notBuilt: .yellow
            case .error: .red
            }
        }
    }
}
