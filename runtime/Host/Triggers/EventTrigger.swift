internal import BullQueue
internal import FunctionKit
public import Logging
public import NIOCore
public import RedisClient
public import ServiceLifecycle

/// Has the events of a queue handled by a `progress`, `completed` or `failed` function.
///
/// Processes with the same function share its events: each goes to one of them.
public struct EventTrigger: Service, CustomStringConvertible {
    /// The name in the logs of services, which would otherwise print every property.
    public let description: String
    private let reader: BullEventReader

    /// Makes the trigger, or `nil` when the function handles no queue's events.
    ///
    /// - Parameters:
    ///   - runner: Runs the function within its limits.
    ///   - settings: The queues' prefix.
    ///   - client: Redis; closed by the caller, after the trigger has ended.
    ///   - timer: Times the grace.
    ///   - grace: The time that the event being handled has at shutdown.
    ///   - logger: Gets failures of the handler.
    ///   - workerID: What the reader calls itself in a process of the function's own.
    /// - Throws: `BullError` when the queue's name is not valid.
    public init?(
        _ runner: FunctionRunner, settings: Configuration.Queue, client: RedisClient, timer: any EventLoop,
        grace: Duration, logger: Logger, workerID: String? = nil
    ) throws {
        let manifest = runner.function.manifest
        guard case .queue(let queue, let moment) = manifest.trigger, let kind = EventTrigger.kind(moment),
            case .event(let handler) = runner.function.handler
        else { return nil }
        var options = BullEventReader.Options()
        options.redeliverAfter = EventTrigger.redeliverAfter(manifest)
        options.id = workerID
        description = "events of \(runner.function.name)"
        reader = try BullEventReader(
            queue: queue, prefix: settings.prefix, group: EventTrigger.group(of: runner.function.name), kinds: [kind],
            options: options, client: client, logger: logger
        ) { event in
            // Owner: this call, which waits for it. The reader's end comes first to it as time to end.
            let handling = Task {
                try await runner.run(requestID: event.jobID) { context in try await handler(event, context) }
            }
            try await withTaskCancellationHandler {
                try await handling.value
            } onCancel: {
                timer.scheduleTask(in: TimeAmount(grace)) { handling.cancel() }
            }
        }
    }

    /// Reads until shutdown; the event being handled is the last one, and has its grace time.
    public func run() async throws {
        try await cancelWhenGracefulShutdown { try await reader.run() }
    }

    /// The consumer group of a function.
    static func group(of function: String) -> String { "ferry-\(function)" }

    /// An event whose handler has not returned by then was lost with its process.
    static func redeliverAfter(_ manifest: FunctionManifest) -> Duration { manifest.timeout + .seconds(30) }

    /// The event that calls a function; `nil` for a queue's jobs.
    static func kind(_ moment: FunctionManifest.QueueMoment) -> QueueEvent.Kind? {
        switch moment {
        case .process: nil
        case .progress: .progress
        case .completed: .completed
        case .failed: .failed
        }
    }
}
