public import FunctionKit

/// What an archive is to be made of, and where it goes.
public struct ArchiveRequest: Sendable {
    /// The files, in the order in which they are to stand in the archive.
    public var sources: [ArchiveSource]
    /// The key of the archive; no other attempt may use the same.
    public var key: String
    /// What happens when a file cannot be had.
    public var onMissing: MissingFilePolicy
    /// Whether the job has no further attempt: then a file that could not be read is left out like a missing one.
    public var isLastAttempt: Bool
    /// The time that members get whose store does not tell one.
    public var at: Timestamp

    /// Describes an archive.
    public init(
        sources: [ArchiveSource], key: String, onMissing: MissingFilePolicy = .skip, isLastAttempt: Bool = false,
        at: Timestamp = .now
    ) {
        self.sources = sources
        self.key = key
        self.onMissing = onMissing
        self.isLastAttempt = isLastAttempt
        self.at = at
    }

    /// Whether the archive is made without a file that could not be read for such a reason. A further attempt may read
    /// it, unless there is none or the reason stays.
    func leavesOut(_ errorClass: ErrorClass) -> Bool {
        onMissing == .skip && (isLastAttempt || errorClass == .validation)
    }
}

/// A file that goes into an archive.
public struct ArchiveSource: Sendable, Hashable {
    /// The file's id.
    public var fileID: Int64
    /// Its key in the object store.
    public var key: String
    /// Its name in the archive; it is made safe and unique there.
    public var name: String

    /// Describes a file.
    public init(fileID: Int64, key: String, name: String) {
        self.fileID = fileID
        self.key = key
        self.name = name
    }
}
