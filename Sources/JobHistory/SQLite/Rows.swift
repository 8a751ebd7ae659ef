internal import FunctionKit
internal import GRDB

// Between rows and values. What a row cannot hold is an error, never a crash: the file is data from outside.

extension HistoryJob {
    /// In the order of the INSERT statement.
    var arguments: StatementArguments {
        let ids = "[\(fileIDs.lazy.map(String.init).joined(separator: ","))]"
        let values: [(any DatabaseValueConvertible)?] = [
            id, owner, round, status, fileIDs.count, ids, options, archive?.key, archive?.sizeBytes, archive?.crc32,
            error, createdAt.milliseconds, updatedAt.milliseconds, expiresAt?.milliseconds, raises,
        ]
        return StatementArguments(values + HistoryCallback.values(of: callback))
    }

    init(row: Row) throws {
        var archive: HistoryArchive?
        if let key: String = try row.optional("archive_key") {
            archive = HistoryArchive(
                key: key, sizeBytes: try row.required("archive_size"), crc32: try row.required("archive_crc32"))
        }
        let ids: String = try row.required("file_ids")
        self.init(
            id: try row.required("job_id"), owner: try row.optional("user_id"), round: try row.required("round"),
            status: try row.required("status"),
            fileIDs: try ids.dropFirst().dropLast().split(separator: ",").map { text in
                guard let id = Int64(text) else { throw HistoryError(.corrupt, "file_ids is not a list of integers") }
                return id
            },
            options: try row.required("options"), createdAt: try row.required("created_at"),
            updatedAt: try row.required("updated_at"), expiresAt: try row.optional("expires_at"), archive: archive,
            error: try row.optional("error_message"), raises: try row.required("raises"),
            callback: try HistoryCallback(row: row))
    }
}

extension HistoryCallback {
    /// In the order of the INSERT statement.
    static func values(of callback: HistoryCallback?) -> [(any DatabaseValueConvertible)?] {
        [
            callback?.state.rawValue, callback?.round ?? 0, callback?.about ?? "", callback?.attempts ?? 0,
            callback?.answer, callback?.error, callback?.deliveredAt?.milliseconds, callback?.nextAt?.milliseconds,
        ]
    }

    /// - Returns: `nil` for a job that wants none.
    init?(row: Row) throws {
        guard let name: String = try row.optional("callback_state") else { return nil }
        guard let state = State(rawValue: name) else {
            throw HistoryError(.corrupt, "callback_state holds an unknown value")
        }
        self.init(
            state: state, round: try row.required("callback_round"), about: try row.required("callback_about"),
            attempts: try row.required("callback_attempts"), answer: try row.optional("callback_answer"),
            error: try row.optional("callback_error"), deliveredAt: try row.optional("callback_delivered_at"),
            nextAt: try row.optional("callback_next_at"))
    }
}

extension HistorySummary {
    init(row: Row) throws {
        self.init(
            job: try HistoryJob(row: row), processedCount: try row.required("processed_files"),
            completedBytes: try row.required("completed_bytes"))
    }
}

extension HistoryKey {
    init(text: String, row: Row) throws {
        self.init(
            text: text, jobID: try row.required("job_id"), digest: try row.required("digest"),
            expiresAt: try row.required("expires_at"))
    }
}

extension HistoryFile {
    /// In the order of the INSERT statement.
    func arguments(job: String) -> StatementArguments {
        let values: [(any DatabaseValueConvertible)?] = [
            job, fileID, position, status, key, sizeBytes, crc32, error, processedAt?.milliseconds,
        ]
        return StatementArguments(values)
    }

    init(row: Row) throws {
        self.init(
            fileID: try row.required("file_id"), position: try row.required("position"),
            status: try row.required("status"), key: try row.optional("s3_key"),
            sizeBytes: try row.optional("file_size"), crc32: try row.optional("crc32"),
            error: try row.optional("error_message"), processedAt: try row.optional("processed_at"))
    }
}

extension Row {
    /// The column's value, or `nil` for NULL.
    fileprivate func optional<Value: DatabaseValueConvertible>(_ column: String) throws -> Value? {
        let stored: DatabaseValue = self[column]
        if stored.isNull { return nil }
        guard let value = Value.fromDatabaseValue(stored) else {
            throw HistoryError(.corrupt, "column \(column) holds a value of another kind")
        }
        return value
    }

    fileprivate func required<Value: DatabaseValueConvertible>(_ column: String) throws -> Value {
        guard let value: Value = try optional(column) else { throw HistoryError(.corrupt, "column \(column) is NULL") }
        return value
    }

    fileprivate func optional(_ column: String) throws -> Timestamp? {
        let milliseconds: Int64? = try optional(column)
        return milliseconds.map(Timestamp.init(milliseconds:))
    }

    fileprivate func required(_ column: String) throws -> Timestamp {
        Timestamp(milliseconds: try required(column))
    }
}
