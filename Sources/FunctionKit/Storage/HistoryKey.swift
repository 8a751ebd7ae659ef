/// A key under which a job was accepted, so that the same request sent again finds it.
public struct HistoryKey: Sendable, Hashable {
    /// The key as the caller chose it, 1 to 255 visible ASCII characters.
    public let text: String
    /// The job.
    public let jobID: String
    /// What was asked for, as a digest.
    public let digest: String
    /// When the key is forgotten.
    public let expiresAt: Timestamp

    /// Makes a key.
    public init(text: String, jobID: String, digest: String, expiresAt: Timestamp) {
        self.text = text
        self.jobID = jobID
        self.digest = digest
        self.expiresAt = expiresAt
    }
}
