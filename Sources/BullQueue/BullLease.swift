/// What a worker must know of a job that it holds, to renew and to settle it.
struct BullLease: Sendable, Hashable {
    /// The job's id.
    let id: String
    /// The lock's token for this start.
    let token: String
    /// How often the job was started, counting this time: another start takes the job from this worker.
    let starts: Int
}
