internal import GRDB

/// The tables, by version.
///
/// `PRAGMA user_version` holds the version. Each missing step is an immediate transaction, in which the version is read
/// again: of several processes that open a new file at once one makes a step while the others wait for the write lock.
///
/// Times are milliseconds since 1970, `file_ids` is a JSON array. A presigned URL is never stored: it is a secret and
/// outdated at once; the archive's key stands in its place.
enum SQLiteSchema {
    static let migrations = [
        HistoryMigration(
            "jobs and their files",
            """
            CREATE TABLE download_jobs (
              job_id TEXT PRIMARY KEY NOT NULL,
              user_id TEXT,
              round INTEGER NOT NULL CHECK (round >= 1),
              status TEXT NOT NULL,
              total_files INTEGER NOT NULL,
              processed_files INTEGER NOT NULL DEFAULT 0,
              failed_files INTEGER NOT NULL DEFAULT 0,
              file_ids TEXT NOT NULL CHECK (json_valid(file_ids)),
              options TEXT NOT NULL,
              archive_key TEXT,
              archive_size INTEGER,
              archive_crc32 INTEGER,
              error_message TEXT,
              created_at INTEGER NOT NULL,
              updated_at INTEGER NOT NULL,
              expires_at INTEGER
            ) STRICT;
            CREATE INDEX idx_download_jobs_user ON download_jobs (user_id, created_at);
            CREATE INDEX idx_download_jobs_status ON download_jobs (status, updated_at);
            CREATE INDEX idx_download_jobs_created ON download_jobs (created_at);

            CREATE TABLE file_records (
              id INTEGER PRIMARY KEY,
              job_id TEXT NOT NULL REFERENCES download_jobs (job_id) ON DELETE CASCADE,
              file_id INTEGER NOT NULL,
              position INTEGER NOT NULL CHECK (position >= 0),
              status TEXT NOT NULL,
              s3_key TEXT,
              file_size INTEGER,
              crc32 INTEGER,
              error_message TEXT,
              processed_at INTEGER,
              UNIQUE (job_id, file_id)
            ) STRICT;
            CREATE INDEX idx_file_records_status ON file_records (status);

            CREATE TABLE history_checks (
              id INTEGER PRIMARY KEY CHECK (id = 1),
              checked_at INTEGER NOT NULL
            ) STRICT;
            """),
        HistoryMigration(
            "the order in which archives expire",
            """
            CREATE INDEX idx_download_jobs_expiry ON download_jobs (status, expires_at);
            """),
        // The owner of a key is '' for none: in a primary key NULL would be different from itself.
        HistoryMigration(
            "rounds that were lost, idempotency keys, leases",
            """
            ALTER TABLE download_jobs ADD COLUMN raises INTEGER NOT NULL DEFAULT 0 CHECK (raises >= 0);
            DROP INDEX idx_download_jobs_user;
            CREATE INDEX idx_download_jobs_user ON download_jobs (user_id, created_at, job_id);

            CREATE TABLE idempotency_keys (
              user_id TEXT NOT NULL,
              key TEXT NOT NULL,
              job_id TEXT NOT NULL REFERENCES download_jobs (job_id) ON DELETE CASCADE,
              digest TEXT NOT NULL,
              expires_at INTEGER NOT NULL,
              PRIMARY KEY (user_id, key)
            ) STRICT, WITHOUT ROWID;
            CREATE INDEX idx_idempotency_keys_job ON idempotency_keys (job_id);
            CREATE INDEX idx_idempotency_keys_expiry ON idempotency_keys (expires_at);

            CREATE TABLE leases (
              name TEXT PRIMARY KEY NOT NULL,
              holder TEXT NOT NULL,
              expires_at INTEGER NOT NULL
            ) STRICT;
            """),
        // The index holds what is not told yet, and the jobs that have not ended. A query that is to use it must repeat its
        // condition.
        HistoryMigration(
            "callbacks",
            """
            ALTER TABLE download_jobs ADD COLUMN callback_state TEXT;
            ALTER TABLE download_jobs ADD COLUMN callback_round INTEGER NOT NULL DEFAULT 0;
            ALTER TABLE download_jobs ADD COLUMN callback_about TEXT NOT NULL DEFAULT '';
            ALTER TABLE download_jobs ADD COLUMN callback_attempts INTEGER NOT NULL DEFAULT 0;
            ALTER TABLE download_jobs ADD COLUMN callback_answer INTEGER;
            ALTER TABLE download_jobs ADD COLUMN callback_error TEXT;
            ALTER TABLE download_jobs ADD COLUMN callback_delivered_at INTEGER;
            ALTER TABLE download_jobs ADD COLUMN callback_next_at INTEGER;
            CREATE INDEX idx_download_jobs_callbacks ON download_jobs (updated_at, job_id)
              WHERE callback_state IS NOT NULL
                AND (callback_state = 'pending' OR callback_round <> round OR callback_about <> status);
            """),
    ]

    /// Brings the file to this version's tables, one step after the other.
    ///
    /// - Returns: The tables as they were found.
    /// - Throws: ``HistoryError`` with code `newerSchema` when the file is beyond this version, or GRDB's error.
    @discardableResult
    static func migrate(_ db: Database) throws -> HistorySchema {
        let found = try schema(db)
        try found.refuseNewer()
        var version = found.version
        while version < migrations.count {
            try db.inTransaction(.immediate) {
                // Read again under the write lock: another process may have been faster.
                let schema = try schema(db)
                try schema.refuseNewer()
                version = schema.version
                guard !schema.isCurrent else { return .rollback }
                try db.execute(sql: migrations[version].sql)
                version += 1
                try db.execute(sql: "PRAGMA user_version = \(version)")
                return .commit
            }
        }
        return found
    }

    /// How far the file's tables are; changes nothing.
    static func schema(_ db: Database) throws -> HistorySchema {
        let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        return HistorySchema(version: max(version, 0), of: migrations)
    }
}
