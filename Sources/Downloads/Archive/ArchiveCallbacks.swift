/// What the builder tells while it works. Each call is awaited in turn; one that throws ends the attempt, and what was
/// uploaded is given up.
public struct ArchiveCallbacks: Sendable {
    /// The sizes are known: the bytes of all files that are there. Called once, before anything is read.
    public var onPlanned: @Sendable (Int64) async throws -> Void
    /// A multipart upload with this id was begun. Not called for an archive that is written in one request.
    public var onUploadBegun: @Sendable (String) async throws -> Void
    /// A file is in the archive, or will not be. Called once a file, in the order asked for.
    public var onFileFinished: @Sendable (ArchivedFile) async throws -> Void
    /// So many bytes of files are in the archive; never fewer than before. Called within a file, and only so often as
    /// the policy says.
    public var onProgress: @Sendable (Int64) async throws -> Void

    /// Callbacks that do nothing unless they are given.
    public init(
        onPlanned: @escaping @Sendable (Int64) async throws -> Void = { _ in },
        onUploadBegun: @escaping @Sendable (String) async throws -> Void = { _ in },
        onFileFinished: @escaping @Sendable (ArchivedFile) async throws -> Void = { _ in },
        onProgress: @escaping @Sendable (Int64) async throws -> Void = { _ in }
    ) {
        self.onPlanned = onPlanned
        self.onUploadBegun = onUploadBegun
        self.onFileFinished = onFileFinished
        self.onProgress = onProgress
    }
}
