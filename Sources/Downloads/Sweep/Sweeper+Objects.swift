internal import FunctionKit

// The passes over the object store.

extension Sweeper {
    private static let pageCount = 1_000

    func abortUploads(at now: Timestamp, _ report: inout SweepReport) async throws {
        let cursor = SweepCursor("uploads", try context.bindings.keyValue)
        var after = try await cursor.load().map { ObjectUpload(key: $0.key, id: $0.id) }
        while !isLate {
            let page = try await objects.listUploads(prefix: settings.archivePrefix, after: after)
            let old = page.uploads.filter { isOld($0.initiatedAt, at: now) }
            let outcomes = await each(old, name: \.key) { upload in
                guard let key = ArchiveKey(upload.key, prefix: settings.archivePrefix),
                    try await !isLive(upload, key)
                else { return false }
                try await objects.abortUpload(upload)
                return true
            }
            report.abortedUploads += outcomes.count(.done)
            report.failures += outcomes.count(.failed)
            if outcomes.count(.postponed) > 0 { break }
            after = page.next
            try await cursor.save(after.map { SweepCursor.Place(key: $0.key, id: $0.id) })
            if after == nil { return }
        }
        try Task.checkCancellation()
        report.isComplete = false
    }

    func deleteArchives(at now: Timestamp, _ report: inout SweepReport) async throws {
        let cursor = SweepCursor("archives", try context.bindings.keyValue)
        var after = try await cursor.load()?.key
        while !isLate {
            let page = try await objects.list(prefix: settings.archivePrefix, after: after, limit: Self.pageCount)
            // A store that goes back in its listing would be listed for ever.
            guard let last = page.last?.key, last != after else { return try await cursor.save(nil) }
            let outcomes = await each(page.filter { isOld($0.modifiedAt, at: now) }, name: \.key) { object in
                guard let key = ArchiveKey(object.key, prefix: settings.archivePrefix),
                    try await !isLive(object.key, key, at: now)
                else { return false }
                try await objects.delete(object.key)
                return true
            }
            report.deletedArchives += outcomes.count(.done)
            report.failures += outcomes.count(.failed)
            if outcomes.count(.postponed) > 0 { break }
            after = last
            try await cursor.save(SweepCursor.Place(key: last, id: ""))
        }
        try Task.checkCancellation()
        report.isComplete = false
    }

    /// What is of unknown age is left alone.
    private func isOld(_ time: Timestamp?, at now: Timestamp) -> Bool {
        time.map { $0 + settings.sweepGrace <= now } ?? false
    }

    /// Whether a worker may still complete the upload: that of the record's claim, with this upload or with one that the
    /// record does not know yet. One whose record is gone gives up by itself.
    private func isLive(_ upload: ObjectUpload, _ key: ArchiveKey) async throws -> Bool {
        guard let record = try await stores.records.load(key.jobID) else { return false }
        guard record.status == .processing, ArchiveKey(record) == key else { return false }
        return record.upload.map { $0.id == upload.id } ?? true
    }

    /// Whether the archive is its job's, or may become it: any worker of an unfinished round may be about to say so.
    private func isLive(_ name: String, _ key: ArchiveKey, at now: Timestamp) async throws -> Bool {
        let job = try await stores.history.find(key.jobID.description)
        if let job, job.round >= key.round {
            return Self.isLive(name, key, status: try job.status(at: now), round: job.round, archive: job.archive?.key)
        }
        // The history does not know the round, as after it was set up anew: what the record says then counts.
        guard let record = try await stores.records.load(key.jobID) else { return false }
        return Self.isLive(
            name, key, status: record.status(at: now), round: record.round, archive: record.archive?.key)
    }

    private static func isLive(
        _ name: String, _ key: ArchiveKey, status: JobStatus, round: Int, archive: String?
    ) -> Bool {
        if status == .ready { return archive == name }
        return JobStatus.unfinished.contains(status) && round == key.round
    }
}
