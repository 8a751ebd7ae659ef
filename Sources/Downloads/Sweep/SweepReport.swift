/// What a sweep has done.
public struct SweepReport: Sendable, Hashable {
    /// Jobs whose archive's time was over.
    public var expiredJobs = 0
    /// Jobs whose retention was over.
    public var forgottenJobs = 0
    /// Idempotency keys whose time was over.
    public var forgottenKeys = 0
    /// Multipart uploads that no live record named.
    public var abortedUploads = 0
    /// Archives that no job named.
    public var deletedArchives = 0
    /// Jobs and objects that could not be dealt with; the next sweep tries them again.
    public var failures = 0
    /// Whether everything was looked at; otherwise the next sweep goes on where this one stopped.
    public var isComplete = true

    /// Whether there was nothing to do.
    public var isEmpty: Bool { self == SweepReport() }

    init() {}
}
