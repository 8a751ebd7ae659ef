internal import FunctionKit
internal import ZipArchive

/// One attempt at one archive: the state between its first file and its completion.
///
/// Confined to the task that builds the archive; what runs beside it (parts being sent, files fetched ahead) are
/// children of that task which get values and give values back.
final class ArchiveRun {
    /// What a child brings back.
    enum Event: Sendable {
        case sent(part: Int, Result<ObjectPart, any Error>)
        /// A file fetched ahead, or `nil` when that did not work.
        case fetched(index: Int, ByteBuffer?)
    }

    typealias Group = ThrowingTaskGroup<Event, any Error>

    let request: ArchiveRequest
    let files: [ArchivePlan.File]
    let store: any ObjectStore
    let policy: ArchivePolicy
    let callbacks: ArchiveCallbacks

    /// The multipart upload, once it was begun.
    private(set) var upload: ObjectUpload?
    /// Whether a request was made after which the store may hold the archive.
    private(set) var mayHaveObject = false

    var assembler: ZipPartAssembler
    private var sent: [Int: ObjectPart] = [:]
    private var sending: Set<Int> = []

    private var fetching: Set<Int> = []
    private var fetched: [Int: ByteBuffer] = [:]
    private var nextToFetch = 0
    private var fetchBytes: Int64 = 0

    private var results: [ArchivedFile] = []
    private var finishedBytes: Int64 = 0
    private var reportedBytes: Int64 = 0
    private var lastReport = ContinuousClock.now

    init(
        request: ArchiveRequest, plan: ArchivePlan, store: any ObjectStore, policy: ArchivePolicy,
        callbacks: ArchiveCallbacks, partSizeBytes: Int
    ) {
        self.request = request
        files = plan.files
        self.store = store
        self.policy = policy
        self.callbacks = callbacks
        assembler = ZipPartAssembler(
            partSizeBytes: partSizeBytes, maximumPartCount: ArchivePolicy.maximumPartCount)
    }

    func execute(in group: inout Group) async throws -> ArchiveResult {
        for index in files.indices {
            try Task.checkCancellation()
            fetchAhead(of: index, in: &group)
            let result = try await archive(index, in: &group)
            results.append(result)
            if result.status == .completed { finishedBytes += result.sizeBytes ?? 0 }
            try await callbacks.onFileFinished(result)
        }
        let failed = results.filter { $0.status == .failed }
        guard failed.count < results.count else {
            let reasons = failed.prefix(20).map { "\($0.fileID): \($0.error ?? "")" }.joined(separator: " ")
            throw Permanent("No file could be had. " + reasons, class: failed.first?.errorClass ?? .storage)
        }
        if !failed.isEmpty {
            let contents = ArchiveManifest.contents(results)
            let member = ZipMember(
                name: ArchivePlan.manifestName, sizeBytes: Int64(contents.readableBytes),
                modifiedAt: DOSDateTime(request.at))
            try assembler.add(member, contents: contents, deflateLevel: policy.deflateLevel)
        }
        let summary = try assembler.finish()
        try await store(summary, in: &group)
        return ArchiveResult(key: request.key, sizeBytes: summary.sizeBytes, crc32: summary.crc32, files: results)
    }

    // MARK: Files

    private func archive(_ index: Int, in group: inout Group) async throws -> ArchivedFile {
        let file = files[index]
        guard case .present(let info) = file.found else { return leftOut(index) }
        if let contents = try await takeFetched(index, in: &group) {
            do {
                let crc32 = try assembler.add(
                    file.member(info, at: request.at), contents: contents, deflateLevel: policy.deflateLevel)
                try await send(in: &group)
                try await report(Int64(contents.readableBytes))
                return file.result(index, sizeBytes: info.sizeBytes, crc32: crc32)
            } catch let error as ZipError where error.code == .checksumMismatch {
                // It came damaged: below it is asked for again, with all the tries that it has.
            }
        }
        do {
            let (sizeBytes, crc32) = try await stream(file, info, in: &group)
            return file.result(index, sizeBytes: sizeBytes, crc32: crc32)
        } catch let fault as SourceFault {
            let errorClass = fault.error.errorClass
            let result = file.result(index, sizeBytes: info.sizeBytes, error: fault.error.message, class: errorClass)
            if request.leavesOut(errorClass) { return result }
            guard request.isLastAttempt || errorClass == .validation else { throw fault.error }
            try await callbacks.onFileFinished(result)
            throw Permanent("\(file.source.fileID): \(fault.error.message)", class: errorClass)
        }
    }

    private func leftOut(_ index: Int) -> ArchivedFile {
        guard case .absent(let message, let errorClass) = files[index].found else {
            preconditionFailure("Only a file that was not found is left out unread.")
        }
        return files[index].result(index, error: message, class: errorClass)
    }

    /// Tells how far the current file is, if the last report is old enough.
    func report(_ bytes: Int64) async throws {
        let now = ContinuousClock.now
        guard finishedBytes + bytes > reportedBytes, now - lastReport >= policy.progressInterval else { return }
        reportedBytes = finishedBytes + bytes
        lastReport = now
        try await callbacks.onProgress(reportedBytes)
    }

    // MARK: Fetching ahead

    /// Asks for small files after the current one, within the policy's bounds.
    private func fetchAhead(of current: Int, in group: inout Group) {
        nextToFetch = max(nextToFetch, current)
        while nextToFetch < files.count, fetching.count + fetched.count < policy.fetchAheadCount {
            let index = nextToFetch
            guard case .present(let info) = files[index].found, info.sizeBytes <= Int64(policy.fetchWholeBytes) else {
                nextToFetch += 1
                continue
            }
            guard fetchBytes == 0 || fetchBytes + info.sizeBytes <= Int64(policy.fetchAheadBytes) else { return }
            nextToFetch += 1
            fetching.insert(index)
            fetchBytes += info.sizeBytes
            let key = files[index].source.key
            let store = store
            let pace = ReadPace(policy, sizeBytes: info.sizeBytes)
            group.addTask {
                .fetched(index: index, await ArchiveRun.fetch(key, info, from: store, pace: pace))
            }
        }
    }

    private func takeFetched(_ index: Int, in group: inout Group) async throws -> ByteBuffer? {
        while fetching.contains(index) { try await takeEvent(from: &group) }
        guard let contents = fetched.removeValue(forKey: index) else { return nil }
        fetchBytes -= Int64(contents.readableBytes)
        return contents
    }

    // MARK: Parts

    /// Sends the parts that are complete, as soon as there is room for them.
    func send(in group: inout Group) async throws {
        while let part = assembler.takePart() {
            let upload = try await begunUpload()
            while sending.count >= max(1, policy.concurrentUploadCount) { try await takeEvent(from: &group) }
            sending.insert(part.number)
            let store = store
            group.addTask {
                do {
                    let sent = try await store.uploadPart(upload, number: part.number, body: part.body)
                    return .sent(part: part.number, .success(sent))
                } catch {
                    return .sent(part: part.number, .failure(error))
                }
            }
        }
    }

    /// Takes back what a member that was discarded has left in the upload: parts under way have ended when this returns,
    /// so that none of them can replace its successor.
    func forgetParts(from number: Int, in group: inout Group) async throws {
        while sending.contains(where: { $0 >= number }) { try await takeEvent(from: &group) }
        sent = sent.filter { $0.key < number }
    }

    private func begunUpload() async throws -> ObjectUpload {
        if let upload { return upload }
        let begun = try await store.beginUpload(request.key, contentType: "application/zip")
        upload = begun
        try await callbacks.onUploadBegun(begun.id)
        return begun
    }

    private func takeEvent(from group: inout Group) async throws {
        switch try await group.next() {
        case .sent(let number, let result):
            sending.remove(number)
            sent[number] = try result.get()
        case .fetched(let index, let contents):
            fetching.remove(index)
            if let contents {
                fetched[index] = contents
            } else if case .present(let info) = files[index].found {
                fetchBytes -= info.sizeBytes
            }
        case nil:
            preconditionFailure("Only what runs is waited for.")
        }
    }

    // MARK: The end

    /// Completes the archive in the store and checks what the store then holds.
    private func store(_ summary: ZipSummary, in group: inout Group) async throws {
        if upload == nil, summary.partCount == 1, let part = assembler.takePart() {
            var body = ByteBuffer()
            body.reserveCapacity(part.sizeBytes)
            for piece in part.body { body.writeImmutableBuffer(piece) }
            mayHaveObject = true
            try await store.write(request.key, body: body, contentType: "application/zip", checksum: summary.crc32)
        } else {
            try await send(in: &group)
            while !sending.isEmpty { try await takeEvent(from: &group) }
            let parts = sent.values.sorted { $0.number < $1.number }
            precondition(parts.map(\.number) == Array(1...summary.partCount), "Every part was sent.")
            mayHaveObject = true
            try await store.completeUpload(try await begunUpload(), parts: parts)
        }
        let stored = try await store.head(request.key)
        guard let stored, stored.sizeBytes == summary.sizeBytes, (stored.crc32 ?? summary.crc32) == summary.crc32
        else {
            throw ArchiveError(
                .archiveNotStored, "The store does not hold the archive that was sent to it.", class: .storage)
        }
    }
}
