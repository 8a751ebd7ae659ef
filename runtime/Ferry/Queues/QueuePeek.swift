import ArgumentParser
import BullQueue
import FunctionKit

/// A state as it is named on the command line.
struct StateArgument: ExpressibleByArgument {
    static var allValueStrings: [String] { BullJobState.allCases.filter { $0 != .unknown }.map(\.rawValue) }

    let state: BullJobState
    var defaultValueDescription: String { state.rawValue }

    init(_ state: BullJobState) { self.state = state }

    init?(argument: String) {
        guard let state = BullJobState(rawValue: argument), state != .unknown else { return nil }
        self.state = state
    }
}

/// `ferry queue peek`: the jobs of a queue that are in one state.
struct QueuePeek: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "peek",
        abstract: "Show jobs of a queue without taking them.",
        discussion: """
            Shows the jobs of one state: the next to be taken first, of completed and failed ones the newest. The state \
            paused is the list in which BullMQ 5 keeps the jobs of a paused queue.

            Examples:
              ferry queue peek mail
              ferry queue peek mail --state failed --count 5
              ferry queue peek mail --state delayed --offset 100 --json
            """)

    @Argument(help: "The queue's name.")
    var queue: String

    @Option(name: .customLong("state"), help: "Which jobs.")
    var chosen = StateArgument(.waiting)

    @Option(help: "How many jobs, 1 to 1000.")
    var count = 20

    @Option(help: "How many jobs to leave out.")
    var offset = 0

    @Flag(help: "Print a JSON array.")
    var json = false

    @OptionGroup var options: QueueOptions

    func validate() throws {
        guard (1...1000).contains(count) else { throw ValidationError("--count must be 1 to 1000.") }
        guard offset >= 0 else { throw ValidationError("--offset must not be negative.") }
    }

    func run() async throws {
        try await QueueAccess.run(options) { access in
            let state = chosen.state
            let control = try await access.queue(queue)
            let jobs = try await control.jobs(in: state, offset: offset, count: count, newestFirst: state.hasEnded)
            let shown = jobs.map { JobView(job: $0, queue: queue, state: state) }
            if json {
                Terminal.output.line(JobView.text(shown))
                return
            }
            let counts = try await control.counts()
            QueueReport.hazards(counts, of: queue)
            Terminal.output.table(
                ["ID", "NAME", "ATTEMPTS", "ADDED", state == .failed ? "REASON" : "DATA"],
                shown.map { view in
                    let job = view.job
                    let last = state == .failed ? job.failedReason : job.data
                    return [
                        Terminal.plain(job.id, limit: 50), Terminal.plain(job.name ?? "-", limit: 30), view.attempts,
                        job.addedAt?.rfc3339 ?? "-",
                        Terminal.plain(job.exists ? last ?? "-" : "(there is no job behind this id)", limit: 80),
                    ]
                }, colours: shown.map { $0.job.defects.isEmpty ? nil : .yellow })
            let last = offset + jobs.count
            if last < counts[state] || offset > 0 {
                Terminal.errors.line(
                    jobs.isEmpty
                        ? "none of \(counts[state]) \(state.rawValue)"
                        : "\(offset + 1) to \(last) of \(counts[state]) \(state.rawValue)")
            }
        }
    }
}
