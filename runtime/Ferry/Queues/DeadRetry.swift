import ArgumentParser
import BullQueue

/// `ferry dead retry`: has failed jobs worked again.
struct DeadRetry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Have failed jobs worked again.",
        discussion: """
            Each keeps its id, data and priority, and has all its attempts again. A download of Ferry's own queue begins \
            a new round, as by its own route.

            Examples:
              ferry dead retry mail 42 43
              ferry dead retry mail --all --reason timeout
              ferry dead retry mail --all --keep-attempts
            """)

    @Argument(help: "The queue's name.")
    var queue: String

    @OptionGroup var selection: JobSelection

    @Option(help: "Only those whose reason holds this text, in upper or lower case.")
    var reason: String?

    @Flag(help: "Leave the counters of attempts: a job that has used up its attempts has one more.")
    var keepAttempts = false

    @OptionGroup var options: QueueOptions

    func validate() throws {
        if selection.all || reason != nil {
            guard selection.ids.isEmpty else {
                throw ValidationError("Name jobs, or give --all or --reason, not both.")
            }
        } else if selection.ids.isEmpty {
            throw ValidationError("Name jobs, or give --all or --reason.")
        }
    }

    func run() async throws {
        try await QueueAccess.run(options) { access in
            let control = try await access.queue(queue)
            var ids = selection.ids
            if ids.isEmpty { ids = try await DeadLetters(control: control, reason: reason).ids() }
            let isDone = try await OwnDownloads.handle(access, queue: queue, done: "retried") { downloads in
                await downloads.retry(ids)
            }
            if isDone { return }
            try QueueReport.changes(
                try await control.retry(ids, resetsAttempts: !keepAttempts), done: "retried", expected: "failed")
        }
    }
}
