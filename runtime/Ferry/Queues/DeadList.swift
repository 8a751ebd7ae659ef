import ArgumentParser
import BullQueue
import FunctionKit

/// `ferry dead ls`: the dead letters of one queue or of all.
struct DeadList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List failed jobs.",
        discussion: """
            Shows the failed jobs of a queue, or of all queues, the newest of each queue first.

            Examples:
              ferry dead ls
              ferry dead ls mail --reason timeout --limit 100
              ferry dead ls --count
              ferry dead ls mail --json
            """)

    @Argument(help: "The queue's name; all queues by default.")
    var queue: String?

    @Option(help: "Only those whose reason holds this text, in upper or lower case.")
    var reason: String?

    @Flag(help: "Print how many there are in each queue.")
    var count = false

    @Option(help: "How many of each queue, 1 to 10000.")
    var limit = 50

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var options: QueueOptions

    func validate() throws {
        guard (1...10_000).contains(limit) else { throw ValidationError("--limit must be 1 to 10000.") }
    }

    func run() async throws {
        try await QueueAccess.run(options) { access in
            let names: [String]
            if let queue {
                _ = try await access.queue(queue)
                names = [queue]
            } else {
                names = try await access.queueNames()
            }
            var views: [JobView] = []
            var counts: [(name: String, count: Int)] = []
            for name in names {
                let letters = DeadLetters(
                    control: try BullQueueControl(queue: name, prefix: access.prefix, client: access.client),
                    reason: reason)
                if count {
                    counts.append((name, try await letters.count()))
                } else {
                    let found = try await letters.find(limit: limit)
                    views += found.map { JobView(job: $0, queue: name, state: .failed) }
                }
            }
            if count { try printCounts(counts) } else { printJobs(views) }
        }
    }

    private func printCounts(_ counts: [(name: String, count: Int)]) throws {
        if json {
            let all = Dictionary(counts.map { ($0.name, $0.count) }) { first, _ in first }
            Terminal.output.line(try JSON.text(all))
        } else if queue != nil {
            Terminal.output.line("\(counts[0].count)")
        } else {
            Terminal.output.table(
                ["QUEUE", "FAILED"], counts.map { [Terminal.plain($0.name), "\($0.count)"] },
                colours: counts.map { _ in nil })
        }
    }

    private func printJobs(_ views: [JobView]) {
        if json {
            Terminal.output.line(JobView.text(views))
            return
        }
        Terminal.output.table(
            ["QUEUE", "ID", "NAME", "ATTEMPTS", "FAILED", "REASON"],
            views.map { view in
                [
                    Terminal.plain(view.queue), Terminal.plain(view.job.id, limit: 50),
                    Terminal.plain(view.job.name ?? "-", limit: 30), view.attempts,
                    view.job.finishedAt?.rfc3339 ?? "-", Terminal.plain(view.job.failedReason ?? "-", limit: 80),
                ]
            }, colours: views.map { _ in nil })
    }
}
