import ArgumentParser
import BullQueue
import FunctionKit

/// `ferry dead show`: everything about one failed job.
struct DeadShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show a failed job.",
        discussion: """
            Shows why it failed, with the stacktraces of its attempts, its data, options and log.

            Examples:
              ferry dead show mail 42
              ferry dead show mail 42 --json | jq .data
            """)

    @Argument(help: "The queue's name.")
    var queue: String

    @Argument(help: "The job's id.")
    var id: String

    @Flag(help: "Print a JSON object.")
    var json = false

    @OptionGroup var options: QueueOptions

    func run() async throws {
        try await QueueAccess.run(options) { access in
            let detail = try await DeadShow.deadLetter(id, of: try await access.queue(queue))
            let view = JobView(detail: detail, queue: queue)
            if json {
                Terminal.output.line(view.text)
                return
            }
            let job = detail.job
            var rows: [(String, String?)] = [
                ("queue", queue), ("id", job.id), ("name", job.name), ("attempts", view.attempts),
                ("started", job.attemptsStarted.map(String.init)), ("stalled", job.stalledCount.map(String.init)),
                ("added", job.addedAt?.rfc3339), ("last started", job.startedAt?.rfc3339),
                ("failed", job.finishedAt?.rfc3339), ("worker", job.fields["pb"]), ("parent", job.fields["parentKey"]),
                ("priority", job.priority > 0 ? "\(job.priority)" : nil), ("progress", job.fields["progress"]),
                ("options", job.options), ("data", job.data), ("reason", job.failedReason),
            ]
            rows += job.defects.map { ("defect", $0) }
            for case (let name, let value?) in rows {
                let padding = String(repeating: " ", count: 14 - name.count)
                Terminal.output.line(name + padding + Terminal.plain(value, lines: true))
            }
            for (number, stack) in job.stacktraces.enumerated() {
                Terminal.output.line("stacktrace \(number + 1):")
                Terminal.output.line(Terminal.plain(stack, lines: true))
            }
            guard detail.logCount > 0 else { return }
            Terminal.output.line("log, the last \(detail.log.count) of \(detail.logCount):")
            for line in detail.log { Terminal.output.line(Terminal.plain(line, lines: true)) }
        }
    }

    /// A failed job.
    ///
    /// - Throws: ``CommandFailure`` when there is no such job or it has not failed.
    static func deadLetter(_ id: String, of control: BullQueueControl) async throws -> BullJobDetail {
        guard let detail = try await control.detail(of: id) else {
            throw CommandFailure("the queue \"\(control.keys.queue)\" has no job \"\(id)\"")
        }
        guard detail.state == .failed else {
            throw CommandFailure("the job \"\(id)\" is \(detail.state.rawValue), not failed")
        }
        return detail
    }
}
