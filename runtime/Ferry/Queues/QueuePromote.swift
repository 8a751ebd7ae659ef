import ArgumentParser
import BullQueue

/// `ferry queue promote`: makes delayed jobs ready.
struct QueuePromote: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promote",
        abstract: "Make delayed jobs ready at once.",
        discussion: """
            Examples:
              ferry queue promote mail 42 43
              ferry queue promote mail --all
            """)

    @Argument(help: "The queue's name.")
    var queue: String

    @OptionGroup var selection: JobSelection

    @OptionGroup var options: QueueOptions

    func validate() throws {
        guard selection.all != !selection.ids.isEmpty else { throw ValidationError("Name jobs, or give --all.") }
    }

    func run() async throws {
        try await QueueAccess.run(options) { access in
            let control = try await access.queue(queue)
            if selection.all {
                Terminal.output.line("\(QueueReport.jobs(try await control.promoteAll())) promoted")
            } else {
                try QueueReport.changes(
                    try await control.promote(selection.ids), done: "promoted", expected: "delayed")
            }
        }
    }
}
