import ArgumentParser
import BullQueue

/// `ferry queue drain`: throws away what waits.
struct QueueDrain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Remove the jobs that wait.",
        discussion: """
            Removes waiting jobs, with or without a priority, and on request the delayed ones. Active, completed and \
            failed jobs stay, and what schedulers have planned as their next. It asks first; without a terminal it \
            needs --yes. Downloads of Ferry's own queue are cancelled, so that nothing queues them again.

            Examples:
              ferry queue drain mail
              ferry queue drain mail --delayed --yes
            """)

    @Argument(help: "The queue's name.")
    var queue: String

    @Flag(help: "Remove the delayed ones too.")
    var delayed = false

    @Flag(help: "Do not ask.")
    var yes = false

    @OptionGroup var options: QueueOptions

    func run() async throws {
        try await QueueAccess.run(options) { access in
            let control = try await access.queue(queue)
            let states: [BullJobState] = [.waiting, .paused, .prioritized] + (delayed ? [.delayed] : [])
            let counts = try await control.counts()
            let count = states.map { counts[$0] }.reduce(0, +)
            try Confirmation.ask("Remove \(QueueReport.jobs(count)) of \(Terminal.plain(queue))?", isGiven: yes)
            let isDone = try await OwnDownloads.handle(access, queue: queue, done: "removed") { downloads in
                try await downloads.drain(states)
            }
            if isDone { return }
            let removed = try await control.drain(includesDelayed: delayed)
            Terminal.output.line("\(QueueReport.jobs(removed.count)) removed")
        }
    }
}
