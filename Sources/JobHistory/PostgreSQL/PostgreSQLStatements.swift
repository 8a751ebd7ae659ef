extension PostgreSQLStatement {
    /// The columns that `HistoryJob.init(row:)` reads.
    private static let jobColumns = """
        job_id, user_id, round, status, file_ids, options, archive_key, archive_size, archive_crc32, error_message,
        \(milliseconds("created_at")), \(milliseconds("updated_at")), \(milliseconds("expires_at")), raises,
        callback_state, callback_round, callback_about, callback_attempts, callback_answer, callback_error,
        \(milliseconds("callback_delivered_at")), \(milliseconds("callback_next_at"))
        """

    static let insert = PostgreSQLStatement(
        name: "insert",
        sql: """
            INSERT INTO download_jobs (job_id, user_id, round, status, total_files, file_ids, options, archive_key,
              archive_size, archive_crc32, error_message, created_at, updated_at, expires_at, raises, callback_state,
              callback_round, callback_about, callback_attempts, callback_answer, callback_error,
              callback_delivered_at, callback_next_at)
            SELECT job_id, user_id, round, status, cardinality(file_ids::bigint[]), file_ids::bigint[], options::json,
              archive_key, archive_size, archive_crc32, error_message, \(time("created_at")), \(time("updated_at")),
              \(time("expires_at")), raises, callback_state, callback_round, callback_about, callback_attempts,
              callback_answer, callback_error, \(time("callback_delivered_at")), \(time("callback_next_at"))
            FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[],
              $8::bigint[], $9::bigint[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::int[],
              $15::text[], $16::int[], $17::text[], $18::int[], $19::int[], $20::text[], $21::bigint[], $22::bigint[])
              AS new (job_id, user_id, round, status, file_ids, options, archive_key, archive_size, archive_crc32,
                error_message, created_at, updated_at, expires_at, raises, callback_state, callback_round,
                callback_about, callback_attempts, callback_answer, callback_error, callback_delivered_at,
                callback_next_at)
            ON CONFLICT (job_id) DO NOTHING RETURNING job_id
            """)

    static let find = PostgreSQLStatement(
        name: "find", sql: "SELECT \(jobColumns) FROM download_jobs WHERE job_id = $1")

    static let files = PostgreSQLStatement(
        name: "files",
        sql: """
            SELECT file_id, position, status, s3_key, file_size, crc32, error_message, \(milliseconds("processed_at"))
            FROM file_records WHERE job_id = $1 ORDER BY position
            """)

    static let update = PostgreSQLStatement(
        name: "update",
        sql: """
            UPDATE download_jobs SET status = $4, updated_at = \(time("$5")), error_message = $6,
              expires_at = coalesce(\(time("$7")), expires_at), archive_key = coalesce($8, archive_key),
              archive_size = coalesce($9, archive_size), archive_crc32 = coalesce($10, archive_crc32)
            WHERE job_id = $1 AND round = $2 AND status = ANY ($3::text[]) RETURNING job_id
            """)

    static let beginRound = nextRound("begin_round", raises: "0")
    static let raise = nextRound("raise", raises: "raises + 1")

    private static func nextRound(_ name: String, raises: String) -> PostgreSQLStatement {
        PostgreSQLStatement(
            name: name,
            sql: """
                WITH begun AS (
                  UPDATE download_jobs SET round = round + 1, status = 'queued', updated_at = \(time("$4")),
                    expires_at = NULL, archive_key = NULL, archive_size = NULL, archive_crc32 = NULL,
                    error_message = NULL, processed_files = 0, failed_files = 0, raises = \(raises)
                  WHERE job_id = $1 AND round = $2 AND status = ANY ($3::text[]) RETURNING job_id
                ), gone AS (
                  DELETE FROM file_records USING begun WHERE file_records.job_id = begun.job_id
                )
                SELECT job_id FROM begun
                """)
    }

    /// Locks the job, so that no round begins and no other results are counted meanwhile.
    static let lockRound = PostgreSQLStatement(
        name: "lock_round", sql: "SELECT job_id FROM download_jobs WHERE job_id = $1 AND round = $2 FOR UPDATE")

    static let record = PostgreSQLStatement(
        name: "record",
        sql: """
            INSERT INTO file_records (job_id, file_id, position, status, s3_key, file_size, crc32, error_message,
              processed_at)
            SELECT $1, file_id, position, status, s3_key, file_size, crc32, error_message, \(time("processed_at"))
            FROM unnest($2::bigint[], $3::int[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[],
              $9::bigint[])
              AS new (file_id, position, status, s3_key, file_size, crc32, error_message, processed_at)
            ON CONFLICT (job_id, file_id) DO UPDATE SET position = excluded.position, status = excluded.status,
              s3_key = excluded.s3_key, file_size = excluded.file_size, crc32 = excluded.crc32,
              error_message = excluded.error_message, processed_at = excluded.processed_at
            """)

    static let count = PostgreSQLStatement(
        name: "count",
        sql: """
            UPDATE download_jobs SET
              processed_files =
                (SELECT count(*) FROM file_records WHERE job_id = $1 AND status IN ('completed', 'failed')),
              failed_files = (SELECT count(*) FROM file_records WHERE job_id = $1 AND status = 'failed')
            WHERE job_id = $1
            """)

    static let listChanged = PostgreSQLStatement(
        name: "list_changed",
        sql: """
            SELECT \(jobColumns) FROM download_jobs
            WHERE status = ANY ($1::text[]) AND updated_at < \(time("$2"))
              AND (updated_at, job_id) > (coalesce(\(time("$3")), '-infinity'), coalesce($4::uuid, \(firstID)))
            ORDER BY updated_at, job_id LIMIT $5
            """)

    static let listExpiring = PostgreSQLStatement(
        name: "list_expiring",
        sql: """
            SELECT \(jobColumns) FROM download_jobs
            WHERE status = ANY ($1::text[]) AND expires_at < \(time("$2")) ORDER BY expires_at, job_id LIMIT $3
            """)

    static let listCallbacks = PostgreSQLStatement(
        name: "list_callbacks",
        sql: """
            SELECT \(jobColumns) FROM download_jobs
            WHERE callback_state IS NOT NULL
              AND (callback_state = 'pending' OR callback_round <> round OR callback_about <> status)
              AND status = ANY ($1::text[]) AND updated_at < \(time("$2"))
              AND (callback_next_at IS NULL OR callback_next_at < \(time("$2")) OR callback_round <> round
                OR callback_about <> status)
              AND (updated_at, job_id) > (coalesce(\(time("$3")), '-infinity'), coalesce($4::uuid, \(firstID)))
            ORDER BY updated_at, job_id LIMIT $5
            """)

    static let recordCallback = PostgreSQLStatement(
        name: "record_callback",
        sql: """
            UPDATE download_jobs SET callback_state = $4, callback_round = $2, callback_about = $3,
              callback_attempts = $5, callback_answer = $6, callback_error = $7,
              callback_delivered_at = \(time("$8")), callback_next_at = \(time("$9"))
            WHERE job_id = $1 AND round = $2 AND status = $3 AND callback_state IS NOT NULL
              AND (callback_round <> $2 OR callback_about <> $3
                OR callback_state = 'pending' AND callback_attempts <= $5)
            RETURNING job_id
            """)

    // `user_id IS NOT DISTINCT FROM $1` would use no index.
    static let listOwned = listed("list_owned", owner: "user_id = $1")
    static let listUnowned = listed("list_unowned", owner: "user_id IS NULL AND $1::text IS NULL")

    private static func listed(_ name: String, owner: String) -> PostgreSQLStatement {
        PostgreSQLStatement(
            name: name,
            sql: """
                SELECT \(jobColumns), processed_files, (
                  SELECT coalesce(sum(file_size), 0)::bigint FROM file_records
                  WHERE file_records.job_id = download_jobs.job_id AND file_records.status = 'completed')
                FROM download_jobs
                WHERE \(owner)
                  AND (created_at, job_id) < (coalesce(\(time("$2")), 'infinity'), coalesce($3::uuid, \(lastID)))
                  AND ($4::text IS NULL OR $4 =
                    CASE WHEN status = 'ready' AND expires_at <= \(time("$5")) THEN 'expired' ELSE status END)
                ORDER BY created_at DESC, job_id DESC LIMIT $6
                """)
    }

    private static let firstID = "'00000000-0000-0000-0000-000000000000'::uuid"
    private static let lastID = "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid"

    static let remove = PostgreSQLStatement(
        name: "remove",
        sql: """
            DELETE FROM download_jobs WHERE job_id = $1 AND round = $2 AND status = ANY ($3::text[]) RETURNING job_id
            """)

    static let removeJobs = PostgreSQLStatement(
        name: "remove_jobs", sql: "DELETE FROM download_jobs WHERE job_id = ANY ($1::uuid[])")

    static let findKeys = PostgreSQLStatement(
        name: "find_keys",
        sql: """
            SELECT user_id, key, job_id, digest, \(milliseconds("expires_at")) FROM idempotency_keys
            WHERE (user_id, key) IN (SELECT * FROM unnest($1::text[], $2::text[]))
            """)

    static let insertKeys = PostgreSQLStatement(
        name: "insert_keys",
        sql: """
            INSERT INTO idempotency_keys (user_id, key, job_id, digest, created_at, expires_at)
            SELECT user_id, key, job_id, digest, \(time("created_at")), \(time("expires_at"))
            FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[])
              AS new (user_id, key, job_id, digest, created_at, expires_at)
            ON CONFLICT (user_id, key) DO UPDATE SET job_id = excluded.job_id, digest = excluded.digest,
              created_at = excluded.created_at, expires_at = excluded.expires_at
            WHERE idempotency_keys.expires_at <= excluded.created_at RETURNING job_id
            """)

    static let removeKeys = PostgreSQLStatement(
        name: "remove_keys",
        sql: """
            WITH gone AS (
              DELETE FROM idempotency_keys WHERE (user_id, key) IN (
                SELECT user_id, key FROM idempotency_keys WHERE expires_at < \(time("$1"))
                ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
              RETURNING 1)
            SELECT count(*) FROM gone
            """)

    static let lease = PostgreSQLStatement(
        name: "lease",
        sql: """
            INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, \(time("$3")))
            ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
            WHERE leases.holder = excluded.holder OR leases.expires_at <= \(time("$4")) RETURNING 1
            """)

    static let endLease = PostgreSQLStatement(
        name: "end_lease", sql: "DELETE FROM leases WHERE name = $1 AND holder = $2")

    static let check = PostgreSQLStatement(
        name: "check",
        sql: """
            INSERT INTO history_checks (id, checked_at) VALUES (1, \(time("$1")))
            ON CONFLICT (id) DO UPDATE SET checked_at = excluded.checked_at
            """)
}
