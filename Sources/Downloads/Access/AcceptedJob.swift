/// A job as its acceptance is answered.
public struct AcceptedJob: Sendable, Hashable {
    /// The id.
    public let id: JobID
    /// How many files were asked for, each counted once.
    public let fileCount: Int
    /// Whether it was accepted before, under the same `Idempotency-Key`.
    public let isRepeated: Bool
}
