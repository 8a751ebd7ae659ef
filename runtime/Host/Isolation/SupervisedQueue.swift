internal import BullQueue
internal import FunctionKit
internal import Logging
internal import NIOCore
internal import RedisClient
internal import Synchronization

/// One queue whose functions run in processes of their own: looks at it, asks for processes, and gives back what those
/// that ended have left.
final class SupervisedQueue: Sendable {
    /// What a process may have left.
    private struct Lost: Sendable {
        let function: String
        let worker: String
        /// When it is to be given back.
        var at: NIODeadline
        var isLast = false
    }

    /// What a process had sent may reach the queue after its end, so what it left is looked for once more.
    private static let again = TimeAmount.seconds(1)
    /// What is beyond this comes back by the checks for stalled jobs.
    private static let lostLimit = 256

    let name: String
    private let watch: BullQueueWatch
    private let needs: QueueNeeds
    /// The groups by the functions that handle events.
    private let groups: [String: BullQueueWatch.Group]
    private let recovery: BullRecovery
    private let client: RedisClient
    private let timers: any EventLoop
    private let logger: Logger
    private let connection: RedisBlockingConnection
    private let lost = Mutex<[Lost]>([])
    private let sign = WakeUp()

    init(
        _ name: String, workers: [QueueNeeds.Worker], groups: [(function: String, group: BullQueueWatch.Group)],
        settings: Configuration.Queue, client: RedisClient, timers: any EventLoop, logger: Logger
    ) throws(BullError) {
        self.name = name
        watch = try BullQueueWatch(queue: name, prefix: settings.prefix, groups: groups.map(\.group))
        needs = QueueNeeds(workers: workers, readers: groups.map(\.function), stalledCheck: settings.stalledCheck)
        self.groups = Dictionary(groups.map { ($0.function, $0.group) }) { first, _ in first }
        recovery = try BullRecovery(
            queue: name, prefix: settings.prefix, maxStalledCount: settings.maxStalledCount,
            gate: settings.stalledGate, client: client)
        self.client = client
        self.timers = timers
        var logger = logger
        logger[metadataKey: "queue"] = "\(name)"
        self.logger = logger
        connection = client.blockingConnection(name: "\(watch.keys.base)supervisor")
    }

    /// A process has ended: what it left is given back by ``run(_:)``.
    func processEnded(_ function: String, worker: String) {
        lost.withLock { lost in
            if lost.count >= SupervisedQueue.lostLimit { lost.removeFirst() }
            lost.append(Lost(function: function, worker: worker, at: .now()))
        }
        wake()
    }

    /// Watches until cancelled. Redis may come and go meanwhile.
    func run(_ processes: any FunctionProcesses) async {
        await withTaskCancellationHandler {
            await supervise(processes)
        } onCancel: {
            wake()
        }
        // What ended last is given back although the task is cancelled; each call has the client's deadline.
        await Task {
            await connection.close()
            lost.withLock { lost in
                for index in lost.indices { lost[index].at = .now() }
            }
            do throws(BullError) {
                try await giveBack()
            } catch {
                logFailure(error, isFirst: true)
            }
        }.value
    }

    private func wake() {
        sign.notify()
        connection.interrupt()
    }

    private func supervise(_ processes: any FunctionProcesses) async {
        var (watch, needs) = (watch, needs)
        var failures = 0
        while !Task.isCancelled {
            do throws(BullError) {
                try await giveBack()
                let look = try await watch.look(client)
                let plan = needs.plan(look, now: .now(), time: .now, running: processes.running)
                for request in plan.requests {
                    await processes.ensure(request.function, processes: request.processes)
                }
                if plan.checksForStalled, try await giveBackStalled() { continue }
                failures = 0
                try await wait(plan, watch)
            } catch {
                if Task.isCancelled { return }
                logFailure(error, isFirst: failures == 0)
                failures = min(failures + 1, 6)
                let wait = Double(50 << failures) * Double.random(in: 0.75..<1.25)
                await sign.wait(until: .now() + .milliseconds(Int64(wait)), timers: timers)
            }
        }
    }

    /// Waits for the time of the next look, for an event, or for a sign.
    private func wait(_ plan: QueueNeeds.Plan, _ watch: BullQueueWatch) async throws(BullError) {
        let begin = NIODeadline.now()
        let end = min(begin + plan.wait, lost.withLock { $0.map(\.at).min() } ?? .distantFuture)
        guard plan.listens else { return await sign.wait(until: end, timers: timers) }
        let limit = max(end - begin, .milliseconds(1))
        do {
            guard try await watch.waitForEvents(on: connection, atMost: .nanoseconds(limit.nanoseconds)) else { return }
        } catch {
            // A sign interrupts it.
            if (error.cause as? RedisError)?.code == .cancelled { return }
            throw error
        }
        // Many events ask for few looks.
        let pauseEnd = min(begin + plan.pause, end)
        if pauseEnd > .now() { await sign.wait(until: pauseEnd, timers: timers) }
    }

    private func giveBackStalled() async throws(BullError) -> Bool {
        let jobs = try await recovery.giveBackStalled()
        for job in jobs { logger.warning("stalled job given back", metadata: ["job": "\(job)"]) }
        return !jobs.isEmpty
    }

    /// Gives back what is due. While Redis is away it stays to be given back; what can never be comes back by the checks
    /// for stalled jobs.
    private func giveBack() async throws(BullError) {
        while let next = lost.withLock({ lost in lost.first { $0.at <= .now() } }) {
            var isLast = next.isLast
            do {
                try await giveBack(next)
            } catch {
                if Task.isCancelled || error.isUnavailable { throw error }
                logger.error("what a process has left was not given back", metadata: ["error": "\(error)"])
                isLast = true
            }
            lost.withLock { lost in
                guard let index = lost.firstIndex(where: { $0.worker == next.worker }) else { return }
                if isLast {
                    lost.remove(at: index)
                } else {
                    lost[index].at = .now() + SupervisedQueue.again
                    lost[index].isLast = true
                }
            }
        }
    }

    private func giveBack(_ lost: Lost) async throws(BullError) {
        let group = groups[lost.function]
        let count: Int
        if let group {
            count = try await recovery.releaseEvents(
                ofLost: lost.worker, group: group.name, redeliverAfter: group.redeliverAfter)
        } else {
            count = try await recovery.giveBackJobs(ofLost: lost.worker).count
        }
        guard count > 0 else { return }
        logger.warning(
            "what a process was working on was given back",
            metadata: [
                "function": "\(lost.function)", "worker": "\(lost.worker)",
                group == nil ? "jobs" : "events": "\(count)",
            ])
    }

    private func logFailure(_ error: BullError, isFirst: Bool) {
        logger.log(
            level: isFirst ? .warning : .debug, "a queue could not be supervised", metadata: ["error": "\(error)"])
    }
}
