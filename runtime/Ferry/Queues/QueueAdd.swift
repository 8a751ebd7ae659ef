import ArgumentParser
import BullQueue
import FunctionKit

/// `ferry queue add`: adds one job.
struct QueueAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add a job to a queue.",
        discussion: """
            Prints the new job's id. The queue need not exist yet. A job whose id is there already is not added; that \
            is said, and the exit status is 1.

            Examples:
              ferry queue add mail -d '{"to":"ada"}'
              ferry queue add mail -d @letter.json --name welcome --delay 5m
              jq -c . letter.json | ferry queue add mail -d - --attempts 5 --backoff exponential:2s
              ferry queue add mail --id order-17 --priority 1
            """)

    @Argument(help: "The queue's name.")
    var queue: String

    @Option(
        name: [.customShort("d"), .customLong("payload")],
        help: ArgumentHelp("The job's data: JSON, @file, or - for standard input.", valueName: "json"))
    var payload = "{}"

    @Option(help: "The job's name.")
    var name = "job"

    @Option(help: "The job's id; the next number by default.")
    var id: String?

    @Option(help: "The time until the job is ready: 500ms, 5s, 10m, 2h or 7d.")
    var delay: ArgumentDuration?

    @Option(help: "1 (first) to 2097151; jobs without a priority are taken before all that have one.")
    var priority = 0

    @Option(help: "The attempts in all.")
    var attempts = 1

    @Option(help: "The time between attempts: exponential:2s or fixed:500ms.")
    var backoff: ArgumentBackoff?

    @Flag(help: "Let it be the next to be taken.")
    var lifo = false

    @OptionGroup var options: QueueOptions

    func validate() throws {
        guard attempts >= 1 else { throw ValidationError("--attempts must be at least 1.") }
        guard (0...BullJobOptions.maximumPriority).contains(priority) else {
            throw ValidationError("--priority must be 0 to \(BullJobOptions.maximumPriority).")
        }
        if lifo, priority > 0 { throw ValidationError("--lifo is for jobs without a priority.") }
        if !payload.hasPrefix("@"), payload != "-", !BullQueueControl.isJSON(payload) {
            throw ValidationError("-d must be JSON, @file or -; this is none: \(Terminal.plain(payload, limit: 80))")
        }
    }

    func run() async throws {
        try await QueueAccess.run(options) { access in
            let data = try Payload.read(payload)
            let producer = try BullProducer(queue: queue, prefix: access.prefix, client: access.client)
            let control = try BullQueueControl(queue: queue, prefix: access.prefix, client: access.client)
            let job = BullProducer.NewJob(
                name, data: data,
                options: BullJobOptions(
                    attempts: attempts, backoff: backoff?.backoff, delayMs: delay?.milliseconds ?? 0,
                    priority: priority, isLIFO: lifo, id: id))
            let added = try await producer.add([job])
            Terminal.output.line(added[0].id)
            guard !added[0].isDuplicate else {
                throw CommandFailure("a job \(added[0].id) is there already; nothing was added")
            }
            try await control.announceVersion()
            QueueReport.hazards(try await control.counts(), of: queue)
        }
    }
}

/// A back-off as it is given on the command line.
struct ArgumentBackoff: ExpressibleByArgument {
    let backoff: BullBackoff

    init?(argument: String) {
        let parts = argument.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, parts[0] == "exponential" || parts[0] == "fixed",
            let delay = ArgumentDuration(argument: String(parts[1]))
        else { return nil }
        backoff = BullBackoff(type: String(parts[0]), delayMs: Double(delay.milliseconds))
    }
}
