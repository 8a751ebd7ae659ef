/// A job that waits for other jobs, its children, which may be of other queues and may have children themselves.
public struct BullFlow: Sendable {
    /// The name of the job's queue.
    public var queue: String
    /// The job. An id is made where its options name none; the options of a child get their parent.
    public var job: BullProducer.NewJob
    /// The jobs that it waits for; without any it is ready at once.
    public var children: [BullFlow]

    /// Makes a node of a tree.
    ///
    /// - Parameters:
    ///   - queue: The name of the job's queue.
    ///   - job: The job.
    ///   - children: The jobs that it waits for.
    public init(queue: String, job: BullProducer.NewJob, children: [BullFlow] = []) {
        self.queue = queue
        self.job = job
        self.children = children
    }
}

/// A job of a tree that was added.
public struct BullFlowJob: Sendable, Hashable {
    /// The id.
    public let id: String
    /// The name of its queue.
    public let queue: String
    /// Whether a job of that id was there already, which then got the parent.
    public let isDuplicate: Bool
    /// Its children, in the order given.
    public let children: [BullFlowJob]
}
