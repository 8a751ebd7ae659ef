import ArgumentParser
import BullQueue

/// `ferry queue pause`: stops the taking of jobs.
struct QueuePause: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Let no job of a queue be taken.",
        discussion: """
            Running jobs go on, added ones wait. It holds for all workers of the queue, of whatever client, until the \
            queue is resumed.

            Example:
              ferry queue pause mail
            """)

    @Argument(help: "The queue's name.")
    var queue: String

    @OptionGroup var options: QueueOptions

    func run() async throws {
        try await QueueAccess.run(options) { access in
            let control = try await access.queue(queue)
            let wasRunning = try await control.pause()
            try await control.announceVersion()
            Terminal.output.line(wasRunning ? "paused" : "paused already")
            QueueReport.hazards(try await control.counts(), of: queue)
        }
    }
}
