internal import BullQueue
internal import FunctionKit
internal import NIOCore

/// Decides from looks at a queue which processes it needs and when to look again. No I/O, no clock of its own.
///
/// A function that has no process is asleep: it is woken for the first job, for a delayed one a moment before its time,
/// and for the first event. What a running process can do it does by itself, so then a slow look is enough: it adds a
/// process when jobs wait although every place is taken. Jobs that lost their worker before are worked alone in their
/// process, so one of these counts as if every place were taken.
struct QueueNeeds: Sendable {
    /// A function that works the queue's jobs.
    struct Worker: Sendable {
        let function: String
        let concurrency: Int
    }

    /// What a look has led to.
    struct Plan: Sendable {
        struct Request: Sendable, Hashable {
            let function: String
            let processes: Int
        }

        var requests: [Request] = []
        /// The longest time until the next look.
        var wait: TimeAmount
        /// The shortest time until the next look, when events ask for it.
        var pause: TimeAmount
        /// Whether the next event is a reason for a look.
        var listens = false
        /// Whether a check for stalled jobs is due.
        var checksForStalled = false
    }

    /// Between looks when nothing tells of anything.
    static let idleInterval = TimeAmount.seconds(5)
    /// Between looks while processes run or are asked for.
    static let awakeInterval = TimeAmount.milliseconds(250)
    /// Between two looks that events ask for: while a worker sleeps, and while only readers of events do.
    static let workersPause = TimeAmount.milliseconds(20)
    static let readersPause = TimeAmount.milliseconds(100)
    /// So long before a delayed job's time its process is started.
    static let lead = TimeAmount.milliseconds(100)

    let workers: [Worker]
    /// The functions that handle the queue's events, in the order of the look's groups.
    let readers: [String]
    let stalledCheck: TimeAmount
    /// Since when jobs have waited for more processes of a function.
    private var backlogs: [String: NIODeadline] = [:]
    private var nextCheck: NIODeadline?

    init(workers: [Worker], readers: [String], stalledCheck: Duration) {
        self.workers = workers
        self.readers = readers
        self.stalledCheck = .milliseconds(stalledCheck.wholeMilliseconds)
    }

    /// Decides.
    ///
    /// - Parameters:
    ///   - look: What there is.
    ///   - now: When the look was made.
    ///   - time: The same by the clock that delayed jobs go by: that of the clients, which add and promote them, so here
    ///     this machine's as in its workers.
    ///   - running: How many processes a function has.
    /// - Returns: What is to be done now, and when to look again.
    mutating func plan(
        _ look: BullQueueLook, now: NIODeadline, time: Timestamp, running: (String) -> Int
    ) -> Plan {
        var plan = Plan(wait: QueueNeeds.idleInterval, pause: QueueNeeds.readersPause)
        var hasAwake = false
        let isOpen = !look.isPaused && !look.isMaxed && look.limited == .zero
        let untilDue = look.due.map { TimeAmount.milliseconds($0.milliseconds - time.milliseconds) - QueueNeeds.lead }
        let isDue = isOpen && untilDue.map { $0 <= .zero } ?? false
        for worker in workers {
            let count = running(worker.function)
            hasAwake = hasAwake || count > 0
            if count == 0, look.hasWork || isDue {
                plan.ask(worker.function, 1)
            } else if count == 0 {
                (plan.listens, plan.pause) = (true, QueueNeeds.workersPause)
            } else if isDue {
                plan.ask(worker.function, count)
            }
            scale(worker, count, look, now, &plan)
        }
        for (reader, group) in zip(readers, look.groups) {
            if running(reader) > 0 {
                hasAwake = true
            } else if group.hasUnread || group.redelivery == .zero {
                plan.ask(reader, 1)
            } else {
                plan.listens = true
                if group.hasMore { plan.limit(.milliseconds(5)) }
                if let redelivery = group.redelivery { plan.limit(TimeAmount(redelivery)) }
            }
        }
        if hasAwake || !plan.requests.isEmpty { plan.limit(QueueNeeds.awakeInterval) }
        if !workers.isEmpty {
            if let untilDue, isOpen, untilDue > .zero { plan.limit(untilDue) }
            if look.limited > .zero { plan.limit(TimeAmount(look.limited)) }
            checkForStalled(look, now, isWorked: workers.contains { running($0.function) > 0 }, &plan)
        }
        return plan
    }

    /// Asks for one process more when jobs have waited for a while although every place of those that run is taken.
    private mutating func scale(
        _ worker: Worker, _ count: Int, _ look: BullQueueLook, _ now: NIODeadline, _ plan: inout Plan
    ) {
        let isFull = look.isStalledNext || look.activeCount >= count * worker.concurrency
        guard count > 0, look.hasWork, isFull else {
            backlogs[worker.function] = nil
            return
        }
        guard let since = backlogs[worker.function] else {
            backlogs[worker.function] = now
            return
        }
        // A little less than the interval, since timers are not exact.
        guard now - since >= QueueNeeds.awakeInterval - .milliseconds(50) else { return }
        backlogs[worker.function] = now
        plan.ask(worker.function, count + 1)
    }

    /// While nobody works the queue here, what other workers have left is checked as a worker would: from when there is
    /// something, at a worker's interval.
    private mutating func checkForStalled(
        _ look: BullQueueLook, _ now: NIODeadline, isWorked: Bool, _ plan: inout Plan
    ) {
        guard !isWorked, look.activeCount > 0 || look.markedCount > 0 else {
            nextCheck = nil
            return
        }
        let due = nextCheck ?? now
        if due <= now {
            plan.checksForStalled = true
            nextCheck = now + stalledCheck
        } else {
            nextCheck = due
        }
        plan.limit((nextCheck ?? now) - now)
    }
}

extension QueueNeeds.Plan {
    fileprivate mutating func ask(_ function: String, _ processes: Int) {
        requests.append(Request(function: function, processes: processes))
    }

    fileprivate mutating func limit(_ time: TimeAmount) { wait = min(wait, max(time, .milliseconds(1))) }
}
