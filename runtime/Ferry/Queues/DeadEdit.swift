import ArgumentParser
import BullQueue
import Downloads

/// `ferry dead edit`: gives a failed job other data.
struct DeadEdit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "edit",
        abstract: "Change the data of a failed job.",
        discussion: """
            Takes the new data from -d, or opens the old in $VISUAL or $EDITOR. The data must be JSON. The job stays \
            failed until it is retried.

            Examples:
              ferry dead edit mail 42 -d '{"to":"ada@example.org"}'
              ferry dead edit mail 42 -d @mended.json
              EDITOR=vim ferry dead edit mail 42
            """)

    @Argument(help: "The queue's name.")
    var queue: String

    @Argument(help: "The job's id.")
    var id: String

    @Option(
        name: [.customShort("d"), .customLong("payload")],
        help: ArgumentHelp("The new data: JSON, @file, or - for standard input.", valueName: "json"))
    var payload: String?

    @OptionGroup var options: QueueOptions

    func validate() throws {
        if let payload, !payload.hasPrefix("@"), payload != "-", !BullQueueControl.isJSON(payload) {
            throw ValidationError("-d must be JSON, @file or -; this is none: \(Terminal.plain(payload, limit: 80))")
        }
    }

    func run() async throws {
        try await QueueAccess.run(options) { access in
            if OwnDownloads.isOwn(queue, access) {
                throw CommandFailure(
                    "what a download is to gather is in Ferry's history, not in the data of its job; it cannot be edited"
                )
            }
            let control = try await access.queue(queue)
            let detail = try await DeadShow.deadLetter(id, of: control)
            let data: String
            if let payload {
                data = try Payload.read(payload)
            } else {
                data = try await Editor.edit(detail.job.data ?? "{}")
            }
            guard data != detail.job.data else {
                Terminal.output.line("unchanged")
                return
            }
            try await control.updateData(of: id, to: data, in: .failed)
            Terminal.output.line("changed; 'ferry dead retry \(queue) \(id)' has it worked again")
        }
    }
}
