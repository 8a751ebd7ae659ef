// Objects as files. In the folder of the store:
//
//   buckets/<bucket>/objects/<key>              the bytes, under a path that a person recognises (KeyMapping.swift)
//   buckets/<bucket>/metadata/<key>%m<generation>   what is kept beside them (ObjectMetadata.swift)
//   buckets/<bucket>/uploads/<upload id>/       the parts of a multipart upload, each with its metadata likewise
//   tmp/                                        what is being written, locked by its writer
//
// A write is: bytes into tmp/, then the metadata file of that generation, then one rename. Whenever the process is
// killed, an object is the old one or the new one. Nothing is synced: what a killed process wrote is safe in the kernel,
// a loss of power may cost the last seconds. A file that a person puts under objects/ is an object; its metadata is made
// up from its time and size.

internal import FunctionKit
internal import Glibc
internal import Synchronization

/// Buckets and objects in a folder. All calls block, so they are made on a thread pool.
///
/// Several processes may use one folder. Where two write one key at the same time, one of them wins as a whole.
public final class S3FileStore: Sendable {
    /// An object, open for reading.
    struct Object: Sendable {
        let file: OpenFile
        let sizeBytes: Int64
        let modifiedAt: Timestamp
        let metadata: ObjectMetadata
    }

    struct Bucket: Sendable, Equatable {
        let name: String
        let createdAt: Timestamp
    }

    /// Where an object's files lie.
    struct Place {
        let objects: String
        let metadata: String
        let folders: [String]
        let name: String

        init(bucketFolder: String, key: ObjectKey) {
            var names = KeyMapping.names(of: key)
            name = names.removeLast()
            folders = names
            objects = bucketFolder + "/objects"
            metadata = bucketFolder + "/metadata"
        }

        private var relative: String { (folders + [name]).joined(separator: "/") }
        var data: String { "\(objects)/\(relative)" }
        /// The file's name when a folder has the plain one.
        var dataBeside: String { data + KeyMapping.beside }
        func metadata(_ generation: Generation) -> String { "\(metadata)/\(relative)\(generation.suffix)" }
    }

    let folder: String
    /// Serialises, within this process, what takes several steps in the folders of objects.
    private let mutations = Mutex(())

    var temporaryFolder: String { folder + "/tmp" }

    /// Uses a folder; made where it is missing.
    ///
    /// - Throws: ``EmulatorError`` with code `.file`.
    public init(folder: String) throws {
        do {
            self.folder = try Folder.make(folder)
            _ = try Folder.make(self.folder + "/buckets")
            _ = try Folder.make(self.folder + "/tmp")
        } catch {
            throw EmulatorError(.file, "The folder \(folder) cannot be used.", cause: error)
        }
    }

    // MARK: Buckets

    func bucketFolder(_ bucket: String) -> String { "\(folder)/buckets/\(bucket)" }

    /// The folder of a bucket that exists.
    func existing(_ bucket: String) throws -> String {
        let path = bucketFolder(bucket)
        guard S3FileStore.isBucketName(bucket), try Folder.status(path + "/objects") != nil else {
            throw S3Fault.noSuchBucket
        }
        return path
    }

    /// - Source: "Bucket naming rules" in the Amazon S3 user guide.
    static func isBucketName(_ name: String) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool { (48...57).contains(byte) || (97...122).contains(byte) }
        let bytes = Array(name.utf8)
        guard (3...63).contains(bytes.count), isAlphanumeric(bytes[0]), isAlphanumeric(bytes[bytes.count - 1]),
            bytes.allSatisfy({ isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }),
            !name.contains("..")
        else { return false }
        let parts = name.split(separator: ".")
        return !(parts.count == 4 && parts.allSatisfy { UInt8($0) != nil })
    }

    /// Makes a bucket.
    ///
    /// - Returns: Whether it was made; `false` when it existed.
    /// - Throws: An error that names the rule when the name breaks one; ``EmulatorError`` when the folder cannot be made.
    @discardableResult
    public func createBucket(_ name: String) throws -> Bool {
        guard S3FileStore.isBucketName(name) else {
            throw S3Fault(400, "InvalidBucketName", "The specified bucket is not valid: '\(name)'.")
        }
        let path = bucketFolder(name)
        guard try Folder.status(path + "/objects") == nil else { return false }
        for part in ["metadata", "uploads", "objects"] { _ = try Folder.make("\(path)/\(part)") }
        return true
    }

    func buckets() throws -> [Bucket] {
        try Folder.entries(in: folder + "/buckets").map(\.name).filter { S3FileStore.isBucketName($0) }
            .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            .compactMap { name in
                // The three folders in it come with the bucket and go with it, so its time is that of its making.
                try Folder.status(bucketFolder(name)).map { status in
                    Bucket(name: name, createdAt: Timestamp(milliseconds: status.modifiedNanoseconds / 1_000_000))
                }
            }
    }

    /// Removes an empty bucket.
    func deleteBucket(_ name: String) throws {
        let path = try existing(name)
        try mutations.withLock { _ in
            guard try !containsObject(path + "/objects") else { throw S3Fault.bucketNotEmpty }
            // Out of sight first, so that no half-removed bucket is ever seen.
            let doomed = "\(temporaryFolder)/\(StagedFile.randomName())"
            guard rename(path, doomed) == 0 else { throw SystemError("rename", path) }
            try Folder.removeTree(doomed)
        }
    }

    // MARK: Objects

    /// A new file, out of sight.
    func stage() throws -> StagedFile { try StagedFile(folder: temporaryFolder) }

    /// The object of a key, or `nil` when there is none.
    func open(_ bucket: String, _ key: ObjectKey) throws -> Object? {
        let place = Place(bucketFolder: try existing(bucket), key: key)
        // Each further turn means that the object was replaced in the middle of this one.
        for _ in 0..<64 {
            guard let file = try openData(place) else { return nil }
            let status = try file.status()
            let generation = Generation(status)
            var metadata = try self.metadata(of: generation, at: place)
            if metadata == nil {
                // Put there by a person, or replaced since it was opened, its metadata removed with it.
                guard let now = try Folder.status(file.path), now.st_ino == status.st_ino,
                    Generation(now) == generation
                else { continue }
                metadata = ObjectMetadata(of: generation)
            }
            return Object(
                file: file, sizeBytes: generation.sizeBytes,
                modifiedAt: Timestamp(milliseconds: generation.modifiedNanoseconds / 1_000_000),
                metadata: metadata ?? ObjectMetadata(of: generation))
        }
        throw S3Fault(503, "SlowDown", "The object is being replaced over and over; please reduce your request rate.")
    }

    func metadata(of generation: Generation, at place: Place) throws -> ObjectMetadata? {
        try Folder.contents(of: place.metadata(generation)).flatMap {
            ObjectMetadata(text: String(decoding: $0, as: UTF8.self))
        }
    }

    private func openData(_ place: Place) throws -> OpenFile? {
        for path in [place.data, place.dataBeside] {
            do {
                // Not to wait for the other end of a pipe that someone has put there.
                let file = try OpenFile(path, flags: O_RDONLY | O_NONBLOCK)
                if try file.status().isRegularFile { return file }
            } catch let error as SystemError where [ENOENT, ENOTDIR, ENAMETOOLONG, ENXIO].contains(error.number) {
                continue
            }
        }
        return nil
    }

    /// Puts a staged file in the place of an object. The condition is asked for the object that is there, with no other
    /// write of this process in between, and may refuse.
    @discardableResult
    func commit(
        _ staged: StagedFile, to bucket: String, _ key: ObjectKey, _ metadata: ObjectMetadata,
        condition: ((Object?) throws -> Void)? = nil
    ) throws -> Timestamp {
        let generation = try staged.stamp()
        try put(staged.file.path, generation, to: bucket, key, metadata, condition: condition)
        return Timestamp(milliseconds: generation.modifiedNanoseconds / 1_000_000)
    }

    /// Puts any file of the same filesystem in the place of an object.
    func put(
        _ path: String, _ generation: Generation, to bucket: String, _ key: ObjectKey, _ metadata: ObjectMetadata?,
        condition: ((Object?) throws -> Void)? = nil
    ) throws {
        let place = Place(bucketFolder: try existing(bucket), key: key)
        try mutations.withLock { _ in
            if let condition { try condition(try open(bucket, key)) }
            let former = try self.generation(at: place)
            if let metadata { try write(metadata, of: generation, at: place) }
            try move(path, to: place)
            if let former, former != generation { unlink(place.metadata(former)) }
        }
    }

    private func write(_ metadata: ObjectMetadata, of generation: Generation, at place: Place) throws {
        let path = place.metadata(generation)
        for turn in 0..<16 {
            do {
                return try OpenFile(path, flags: O_WRONLY | O_CREAT | O_TRUNC).write(Array(metadata.text.utf8))
            } catch let error as SystemError where error.number == ENOENT && turn < 15 {
                try makeFolders(place.folders, in: place.metadata, movesFiles: false)
            }
        }
    }

    private func generation(at place: Place) throws -> Generation? {
        for path in [place.data, place.dataBeside] {
            if let status = try Folder.status(path), status.isRegularFile { return Generation(status) }
        }
        return nil
    }

    /// Moves a file to where the object belongs, whatever folders and files are in the way.
    private func move(_ path: String, to place: Place) throws {
        // Another process may remove a folder that has just become empty: then it is made again.
        for _ in 0..<16 {
            if rename(path, place.data) == 0 {
                unlink(place.dataBeside)
                return
            }
            if errno == EISDIR || errno == EEXIST || errno == ENOTEMPTY, rename(path, place.dataBeside) == 0 { return }
            guard errno == ENOENT || errno == ENOTDIR, try Folder.status(path) != nil else {
                throw SystemError("rename", place.data)
            }
            try makeFolders(place.folders, in: place.objects, movesFiles: true)
        }
        throw SystemError("rename", place.data)
    }

    /// Makes the folders of a key. With `movesFiles`, an object that has the name of a folder goes beside it.
    private func makeFolders(_ names: [String], in root: String, movesFiles: Bool) throws {
        var path = root
        for name in names {
            path += "/" + name
            if mkdir(path, 0o700) == 0 { continue }
            // The one above was removed a moment ago; whoever asked tries again.
            if errno == ENOENT { return }
            guard errno == EEXIST else { throw SystemError("mkdir", path) }
            guard movesFiles, let status = try Folder.status(path), !status.isFolder else { continue }
            guard rename(path, path + KeyMapping.beside) == 0, mkdir(path, 0o700) == 0 || errno == EEXIST else {
                throw SystemError("rename", path)
            }
        }
    }

    /// Removes an object; one that is gone already is no error.
    func delete(_ bucket: String, _ key: ObjectKey) throws {
        let place = Place(bucketFolder: try existing(bucket), key: key)
        try mutations.withLock { _ in
            let former = try generation(at: place)
            // Beside first: were it the other way round, a crash would bring an older object back.
            for path in [place.dataBeside, place.data] where unlink(path) != 0 {
                guard [ENOENT, ENOTDIR, EISDIR, ENAMETOOLONG].contains(errno) else { throw SystemError("unlink", path) }
            }
            if let former { unlink(place.metadata(former)) }
            for root in [place.objects, place.metadata] { removeEmptyFolders(place.folders, in: root) }
        }
    }

    private func removeEmptyFolders(_ names: [String], in root: String) {
        var path = Array((root + "/" + names.joined(separator: "/")).utf8)
        for name in names.reversed() {
            guard rmdir(String(decoding: path, as: UTF8.self)) == 0 else { return }
            path.removeLast(name.utf8.count + 1)
        }
    }

    /// Removes what killed processes left in `tmp/`. What is being written is locked, and stays.
    func sweep() throws {
        for entry in try Folder.entries(in: temporaryFolder) {
            let path = "\(temporaryFolder)/\(entry.name)"
            guard let status = try Folder.status(path), Int(time(nil)) - status.st_mtim.tv_sec > 60 else { continue }
            if entry.kind == .folder {
                try Folder.removeTree(path)
            } else if let lock = try? LockFile(path), try lock.tryLock(.exclusive) {
                // One that cannot be opened is a link to a file of someone else, and costs nothing.
                unlink(path)
            }
        }
    }
}
