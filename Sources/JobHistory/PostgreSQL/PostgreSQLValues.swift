internal import FunctionKit

extension HistoryJob {
    /// Reads the columns of `PostgreSQLStatement.jobColumns`.
    init(row: inout PostgreSQLRow) throws {
        let id: String = try row.required()
        let owner: String? = try row.optional()
        let round: Int = try row.required()
        let status: String = try row.required()
        let fileIDs = try row.integers()
        let options: String = try row.required()
        let key: String? = try row.optional()
        let size: Int64? = try row.optional()
        let crc32: UInt32? = try row.optional()
        let error: String? = try row.optional()
        var archive: HistoryArchive?
        if let key {
            guard let size, let crc32 else { throw HistoryError(.corrupt, "an archive has no size or checksum") }
            archive = HistoryArchive(key: key, sizeBytes: size, crc32: crc32)
        }
        self.init(
            id: id, owner: owner, round: round, status: status, fileIDs: fileIDs, options: options,
            createdAt: try row.requiredTime(), updatedAt: try row.requiredTime(), expiresAt: try row.optionalTime(),
            archive: archive, error: error, raises: try row.required(), callback: try HistoryCallback(row: &row))
    }
}

extension HistoryCallback {
    /// Reads its columns of `PostgreSQLStatement.jobColumns`, all of them also where there is none.
    ///
    /// - Returns: `nil` for a job that wants none.
    init?(row: inout PostgreSQLRow) throws {
        let name: String? = try row.optional()
        self.init(
            round: try row.required(), about: try row.required(), attempts: try row.required(),
            answer: try row.optional(), error: try row.optional(), deliveredAt: try row.optionalTime(),
            nextAt: try row.optionalTime())
        guard let name else { return nil }
        guard let state = State(rawValue: name) else {
            throw HistoryError(.corrupt, "callback_state holds an unknown value")
        }
        self.state = state
    }
}

extension HistoryFile {
    /// Reads the columns of `PostgreSQLStatement.files`.
    init(row: inout PostgreSQLRow) throws {
        self.init(
            fileID: try row.required(), position: try row.required(), status: try row.required(),
            key: try row.optional(), sizeBytes: try row.optional(), crc32: try row.optional(),
            error: try row.optional(), processedAt: try row.optionalTime())
    }
}

extension HistorySummary {
    /// Reads the columns of `PostgreSQLStatement.listOwned`.
    init(row: inout PostgreSQLRow) throws {
        self.init(
            job: try HistoryJob(row: &row), processedCount: try row.required(), completedBytes: try row.required())
    }
}
