import ArgumentParser
import BullQueue
import FunctionKit

/// `ferry queue ls`: all queues with how many jobs they hold.
struct QueueList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List queues.",
        discussion: """
            Shows each queue with the number of its jobs by state. A warning names what makes it unsafe to work a queue \
            together with clients of BullMQ 5.

            Examples:
              ferry queue ls
              ferry queue ls --json
              ferry queue ls --prefix '{bull}'
            """)

    @Flag(help: "Print a JSON array.")
    var json = false

    @OptionGroup var options: QueueOptions

    func run() async throws {
        try await QueueAccess.run(options) { access in
            var rows: [Row] = []
            for name in try await access.queueNames() {
                let control = try BullQueueControl(queue: name, prefix: access.prefix, client: access.client)
                rows.append(Row(name: name, counts: try await control.counts()))
            }
            if json {
                Terminal.output.line(try JSON.text(rows.map(\.item)))
                return
            }
            Terminal.output.table(
                ["QUEUE"] + Row.columns.map { $0.rawValue.uppercased() } + ["STATE"], rows.map(\.cells),
                colours: rows.map { $0.counts.isPaused ? .yellow : nil })
            for row in rows { QueueReport.hazards(row.counts, of: row.name) }
        }
    }

    /// One queue as it is printed.
    private struct Row {
        static let columns: [BullJobState] = [
            .waiting, .active, .delayed, .prioritized, .waitingChildren, .failed, .completed,
        ]

        let name: String
        let counts: BullQueueCounts

        var cells: [String] {
            [Terminal.plain(name)] + Row.columns.map { "\(counts[$0])" } + [counts.isPaused ? "paused" : "running"]
        }

        var item: Item {
            Item(
                name: name, counts: Dictionary(uniqueKeysWithValues: counts.jobs.map { ($0.rawValue, $1) }),
                isPaused: counts.isPaused, concurrency: counts.globalConcurrency,
                rateLimit: counts.globalRateLimit.map {
                    Item.RateLimit(count: $0.count, windowMs: Int($0.window / .milliseconds(1)))
                }, version: counts.version, hazards: counts.hazards)
        }
    }

    /// One queue in JSON.
    private struct Item: Encodable {
        struct RateLimit: Encodable {
            let count: Int
            let windowMs: Int
        }

        let name: String
        let counts: [String: Int]
        let isPaused: Bool
        let concurrency: Int?
        let rateLimit: RateLimit?
        let version: String?
        let hazards: [String]
    }
}
