import ArgumentParser
import BullQueue
import FunctionKit

/// `ferry dead purge`: throws failed jobs away.
struct DeadPurge: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge",
        abstract: "Throw failed jobs away.",
        discussion: """
            A parent job that waited for nothing but a purged child goes with it. A download of Ferry's own queue that \
            its history holds as unfinished is cancelled.

            Examples:
              ferry dead purge mail 42 43
              ferry dead purge mail --older-than 7d
              ferry dead purge mail --all
            """)

    @Argument(help: "The queue's name.")
    var queue: String

    @OptionGroup var selection: JobSelection

    @Option(help: "All that failed so long ago: 500ms, 5s, 10m, 2h or 7d.")
    var olderThan: ArgumentDuration?

    @OptionGroup var options: QueueOptions

    func validate() throws {
        let ways = [!selection.ids.isEmpty, selection.all, olderThan != nil].count { $0 }
        guard ways == 1 else { throw ValidationError("Name jobs, or give either --all or --older-than.") }
    }

    func run() async throws {
        try await QueueAccess.run(options) { access in
            let control = try await access.queue(queue)
            let isDone = try await OwnDownloads.handle(access, queue: queue, done: "purged") { downloads in
                await downloads.purge(selection.ids.isEmpty ? try await self.old(control) : selection.ids)
            }
            if isDone { return }
            if selection.ids.isEmpty {
                let removed = try await control.clean(.failed, olderThan: olderThan?.duration ?? .zero)
                Terminal.output.line("\(QueueReport.jobs(removed.count)) purged")
            } else {
                try QueueReport.changes(
                    try await control.clean(selection.ids, in: .failed), done: "purged", expected: "failed")
            }
        }
    }

    /// The ids of the jobs that failed so long ago.
    private func old(_ control: BullQueueControl) async throws -> [String] {
        let before = Timestamp(milliseconds: Timestamp.now.milliseconds - (olderThan?.milliseconds ?? 0))
        let letters = DeadLetters(control: control, reason: nil)
        return try await letters.find(limit: .max).filter { $0.finishedAt.map { $0 <= before } ?? true }.map(\.id)
    }
}
