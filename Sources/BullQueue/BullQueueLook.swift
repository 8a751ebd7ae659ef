public import FunctionKit

/// What a worker or a reader of events would find to do in a queue, as somebody sees it who only looks.
public struct BullQueueLook: Sendable, Hashable {
    /// What a consumer group's readers would find.
    public struct Group: Sendable, Hashable {
        /// Whether there is a wanted event that the group was not given, or events were trimmed, or soon would be, that it
        /// was not given.
        public let hasUnread: Bool
        /// Whether so many unread events are left that the next look goes on with them.
        public let hasMore: Bool
        /// The time until an event that was given and not acknowledged is given again; `nil` for none.
        public let redelivery: Duration?
        /// Up to where the stream was looked through for wanted events.
        let seen: String
    }

    /// How many jobs are ready, with or without a priority.
    public let waitingCount: Int
    /// How many jobs are being worked, or were when their worker was lost.
    public let activeCount: Int
    /// How many jobs the last check for stalled ones has marked.
    public let markedCount: Int
    /// Whether the queue is paused.
    public let isPaused: Bool
    /// Whether as many jobs are worked as the queue's settings allow, by all workers together.
    public let isMaxed: Bool
    /// The time for which the queue's rate limit forbids a start; zero for none.
    public let limited: Duration
    /// When the next delayed job is due, by the clock of whoever added it; `nil` for none.
    public let due: Timestamp?
    /// Whether the next job has lost its worker before.
    public let isStalledNext: Bool
    /// What the groups' readers would find, in the order in which they were asked for.
    public let groups: [Group]
    /// The stream's last id.
    let lastEventID: String

    /// Whether a job could be started now.
    public var hasWork: Bool { waitingCount > 0 && !isPaused && !isMaxed && limited == .zero }

    /// Reads the reply of `lookAtQueue.lua`.
    init?(_ reply: RESPValue) {
        guard let parts = reply.array, parts.count == 3, let last = parts[0].string,
            let jobs = parts[1].array?.compactMap(\.integer), jobs.count == 8, let groups = parts[2].array
        else { return nil }
        lastEventID = last
        (waitingCount, activeCount, markedCount) = (Int(jobs[0]), Int(jobs[1]), Int(jobs[2]))
        (isPaused, isMaxed) = (jobs[3] != 0, jobs[4] != 0)
        limited = .milliseconds(jobs[5])
        due = jobs[6] > 0 ? Timestamp(milliseconds: jobs[6]) : nil
        isStalledNext = jobs[7] != 0
        self.groups = groups.map { group in
            let values = group.array ?? []
            let again = values.count > 2 ? values[2].integer ?? -1 : -1
            return Group(
                hasUnread: values.first?.integer == 1, hasMore: values.first?.integer == 2,
                redelivery: again >= 0 ? .milliseconds(again) : nil,
                seen: values.count > 1 ? values[1].string ?? "0-0" : "0-0")
        }
    }
}
