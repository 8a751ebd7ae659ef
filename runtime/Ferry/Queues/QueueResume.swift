import ArgumentParser
import BullQueue

/// `ferry queue resume`: lets a paused queue run again.
struct QueueResume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Let a paused queue run again.",
        discussion: """
            Jobs that a client of BullMQ 5 put aside when it paused the queue come back first.

            Example:
              ferry queue resume mail
            """)

    @Argument(help: "The queue's name.")
    var queue: String

    @OptionGroup var options: QueueOptions

    func run() async throws {
        try await QueueAccess.run(options) { access in
            let control = try await access.queue(queue)
            let counts = try await control.counts()
            let aside = counts[.paused]
            try await control.resume()
            try await control.announceVersion()
            let isRunning = !counts.isPaused && aside == 0
            Terminal.output.line(
                isRunning
                    ? "running already" : aside == 0 ? "resumed" : "resumed, \(QueueReport.jobs(aside)) brought back")
            QueueReport.hazards(try await control.counts(), of: queue)
        }
    }
}
