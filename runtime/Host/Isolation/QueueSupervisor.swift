internal import BullQueue
internal import FunctionKit
public import Logging
public import NIOCore
public import RedisClient
public import ServiceLifecycle

/// Has processes of functions started when their queues, events and times have something for them.
///
/// It takes no jobs, no locks and no markers: it looks, and the processes are full workers that take what there is. Of a
/// process that ended it gives back the jobs and events, and while a queue's function has no process it checks for stalled
/// jobs in its place. Schedules are kept here, so that a function between two of its times needs no process.
///
/// Run it before the processes in a group of services, so that it ends after them: what the last ones leave is given back.
public final class QueueSupervisor: FunctionProcessObserver {
    private let queues: [SupervisedQueue]
    private let queueOf: [String: SupervisedQueue]
    private let schedules: [ScheduleKeeper]

    /// Makes a supervisor, which does nothing before its service runs.
    ///
    /// - Parameters:
    ///   - manifests: The functions' manifests by name; those that requests call are left alone.
    ///   - settings: Locks and checks, as in the processes.
    ///   - client: Redis; closed by the caller, after the supervisor has ended.
    ///   - loop: Keeps the timers.
    ///   - logger: Gets what was given back, and failures.
    /// - Throws: `BullError` when a queue's name or prefix is not valid.
    public init(
        _ manifests: [String: FunctionManifest], settings: Configuration.Queue, client: RedisClient,
        loop: any EventLoop, logger: Logger
    ) throws {
        var workers: [String: [QueueNeeds.Worker]] = [:]
        var groups: [String: [(function: String, group: BullQueueWatch.Group)]] = [:]
        var queueNames: [String: String] = [:]
        var schedules: [ScheduleKeeper] = []
        for (name, manifest) in manifests.sorted(by: { $0.key < $1.key }) {
            let worker = QueueNeeds.Worker(function: name, concurrency: manifest.concurrency)
            switch manifest.trigger {
            case .http, .cloudEvents, .sse, .webSocket: continue
            case .queue(let queue, let moment):
                queueNames[name] = queue
                if let kind = EventTrigger.kind(moment) {
                    let group = BullQueueWatch.Group(
                        EventTrigger.group(of: name), kinds: [kind],
                        redeliverAfter: EventTrigger.redeliverAfter(manifest))
                    groups[queue, default: []].append((name, group))
                } else {
                    workers[queue, default: []].append(worker)
                }
            case .schedule:
                queueNames[name] = ScheduleTrigger.queue(of: name)
                workers[ScheduleTrigger.queue(of: name), default: []].append(worker)
                let keeper = try ScheduleKeeper(name, manifest, settings: settings, client: client, logger: logger)
                if let keeper { schedules.append(keeper) }
            }
        }
        var queues: [String: SupervisedQueue] = [:]
        for queue in Set(queueNames.values).sorted() {
            queues[queue] = try SupervisedQueue(
                queue, workers: workers[queue] ?? [], groups: groups[queue] ?? [], settings: settings,
                client: client, timers: loop, logger: logger)
        }
        self.queues = queues.values.sorted { $0.name < $1.name }
        queueOf = queueNames.compactMapValues { queues[$0] }
        self.schedules = schedules
    }

    /// What supervises until shutdown, by starting processes of these. Redis may come and go meanwhile.
    public func service(for processes: any FunctionProcesses) -> any Service {
        Supervision(supervisor: self, processes: processes)
    }

    private func run(_ processes: any FunctionProcesses) async {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                for queue in self.queues { group.addTask { await queue.run(processes) } }
                for schedule in self.schedules { group.addTask { await schedule.run() } }
            }
            // Without queues there is nothing to do, but a service that ends is a failure.
            try? await gracefulShutdown()
        }
    }

    /// Has what a process left given back to its queue; see ``FunctionProcessObserver``.
    public func processEnded(function: String, workerToken: String, wasCrash: Bool) async {
        queueOf[function]?.processEnded(function, worker: workerToken)
    }

    private struct Supervision: Service, CustomStringConvertible {
        let supervisor: QueueSupervisor
        let processes: any FunctionProcesses
        var description: String { "supervisor of queues" }

        func run() async { await supervisor.run(processes) }
    }
}
