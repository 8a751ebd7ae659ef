/// An S3-compatible store with one bucket, as functions see it.
///
/// Every operation has a deadline of its own (30 s by default, for a body: between two chunks) and is tried again as
/// configured when it is safe to. Errors are ``ClassifiedError``s.
public protocol ObjectStore: Sendable {
    /// The bucket's name.
    var bucket: String { get }

    /// What the store knows of an object, or `nil` when there is none.
    func head(_ key: String) async throws -> ObjectInfo?

    /// Reads an object as a stream.
    ///
    /// - Parameters:
    ///   - key: The object's key.
    ///   - range: The bytes wanted, half open, or `nil` for all.
    /// - Returns: The object, or `nil` when there is none. The body must be consumed or dropped; it ends with an error
    ///   when the connection closes before all of the announced length has come.
    /// - Throws: A ``ClassifiedError``.
    /// - Cancellation: closes the connection.
    func read(_ key: String, range: Range<Int64>?) async throws -> ObjectBody?

    /// Writes a whole object.
    ///
    /// - Parameters:
    ///   - key: The object's key.
    ///   - body: The bytes.
    ///   - contentType: The media type to keep with it.
    ///   - checksum: CRC-32 of the body where it is known; sent for the store to verify.
    /// - Throws: A ``ClassifiedError``; the object may then have been written.
    func write(_ key: String, body: ByteBuffer, contentType: String, checksum: UInt32?) async throws

    /// Begins a multipart upload.
    func beginUpload(_ key: String, contentType: String) async throws -> ObjectUpload

    /// Uploads one part, from 1; the same number again replaces it. A part but the last has at least 5 MiB.
    ///
    /// - Parameters:
    ///   - upload: The upload.
    ///   - number: The part's number, 1 to 10 000.
    ///   - body: The part's bytes in order.
    /// - Returns: The part as it is named when the upload is completed.
    /// - Throws: A ``ClassifiedError``; the part may be sent again.
    func uploadPart(_ upload: ObjectUpload, number: Int, body: [ByteBuffer]) async throws -> ObjectPart

    /// Makes the object from its parts, which are in order of their numbers.
    ///
    /// - Throws: Also when the store answers 200 with an error in the body.
    func completeUpload(_ upload: ObjectUpload, parts: [ObjectPart]) async throws

    /// Gives an upload up; one that is gone already is no error.
    func abortUpload(_ upload: ObjectUpload) async throws

    /// Unfinished multipart uploads under a prefix in order of their keys, at most 1 000 a page.
    ///
    /// - Parameters:
    ///   - prefix: What the keys begin with.
    ///   - after: The ``ObjectUploadPage/next`` of the page before, or `nil` for the first page.
    /// - Returns: A page.
    /// - Throws: A ``ClassifiedError``.
    func listUploads(prefix: String, after: ObjectUpload?) async throws -> ObjectUploadPage

    /// Removes an object; one that is gone already is no error.
    func delete(_ key: String) async throws

    /// Objects under a prefix in order of their keys, at most `limit` (1 to 1 000), after the given key.
    func list(prefix: String, after: String?, limit: Int) async throws -> [ObjectInfo]

    /// A URL with which anyone can GET the object until it expires (SigV4 query signing). Makes no request.
    ///
    /// - Parameters:
    ///   - key: The object's key.
    ///   - expiresIn: 1 second to 7 days.
    ///   - fileName: The name that browsers save the object under, or `nil`.
    /// - Returns: The URL, to be used exactly as it is.
    /// - Throws: A ``ClassifiedError`` when the lifetime is out of range or no credentials are configured.
    func presignedURL(for key: String, expiresIn: Duration, fileName: String?) throws -> String

    /// Checks that the bucket answers.
    func check() async throws
}

/// What a store knows of an object.
public struct ObjectInfo: Sendable, Hashable {
    /// The key.
    public let key: String
    /// The size in bytes.
    public let sizeBytes: Int64
    /// The entity tag, quotes included.
    public let etag: String?
    /// CRC-32 of the whole object where the store keeps one (type FULL_OBJECT).
    public let crc32: UInt32?
    /// When it was last written, where the store told.
    public let modifiedAt: Timestamp?

    /// Makes a description.
    public init(key: String, sizeBytes: Int64, etag: String?, crc32: UInt32?, modifiedAt: Timestamp?) {
        self.key = key
        self.sizeBytes = sizeBytes
        self.etag = etag
        self.crc32 = crc32
        self.modifiedAt = modifiedAt
    }
}

/// An object that is being read.
public struct ObjectBody: Sendable {
    /// What the store said of it; `sizeBytes` is the whole object's size, also when a range was read.
    public let info: ObjectInfo
    /// The bytes. Consumed once.
    public let chunks: any AsyncSequence<ByteBuffer, any Error> & Sendable

    /// Makes a body.
    public init(info: ObjectInfo, chunks: any AsyncSequence<ByteBuffer, any Error> & Sendable) {
        self.info = info
        self.chunks = chunks
    }
}

/// A multipart upload under way.
public struct ObjectUpload: Sendable, Hashable {
    /// The key of the object to be.
    public let key: String
    /// The store's id of the upload.
    public let id: String
    /// When it was begun, in listings.
    public let initiatedAt: Timestamp?

    /// Makes a reference to an upload.
    public init(key: String, id: String, initiatedAt: Timestamp? = nil) {
        self.key = key
        self.id = id
        self.initiatedAt = initiatedAt
    }
}

/// A page of a listing of uploads.
public struct ObjectUploadPage: Sendable, Hashable {
    /// The uploads.
    public let uploads: [ObjectUpload]
    /// Where the next page begins, or `nil` after the last one. The upload that it names need not exist.
    public let next: ObjectUpload?

    /// Makes a page.
    public init(uploads: [ObjectUpload], next: ObjectUpload?) {
        self.uploads = uploads
        self.next = next
    }
}

/// An uploaded part.
public struct ObjectPart: Sendable, Hashable {
    /// The part's number, 1 to 10 000.
    public let number: Int
    /// The entity tag that the store gave it, quotes included.
    public let etag: String

    /// Makes a reference to a part.
    public init(number: Int, etag: String) {
        self.number = number
        self.etag = etag
    }
}
