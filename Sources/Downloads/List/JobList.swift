public import FunctionKit

/// Answers a request for the caller's own jobs, newest first, from the history. Where nobody is asked who he is those are
/// the jobs without an owner.
public enum JobList {
    /// How many jobs a request may ask for at a time.
    static let limits: ClosedRange<Int> = 1...100
    private static let standardLimit = 20

    /// Answers with a page of jobs: `?status=` selects, `?limit=` bounds, `?cursor=` is the `nextCursor` of the page before.
    ///
    /// Jobs that are accepted meanwhile change no later page.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - context: What the host lends.
    /// - Returns: 200 with `{"jobs","nextCursor"}`.
    /// - Throws: ``FunctionKit/HTTPError`` 400 with every problem. The history's error.
    public static func response(to request: Request, _ context: Context) async throws -> Response {
        let now = Timestamp.now
        var query = try query(request, owner: context.owner, at: now)
        let count = query.limit
        // One more tells whether there is another page.
        query.limit += 1
        let found = try await context.bindings.history.list(query)
        let page = found.prefix(count)
        let next = found.count > count ? page.last.map { HistoryPlace(time: $0.job.createdAt, id: $0.job.id) } : nil
        let settings = context.downloads
        var writer = JSONWriter(capacity: 128 + page.count * 400)
        try writer.object { writer in
            writer.key("jobs")
            try writer.array { writer in
                for summary in page where !settings.isOver(summary.job, at: now) {
                    // A row that is none of a download job's hides no other.
                    guard JobStatus(rawValue: summary.job.status) != nil else { continue }
                    try summary.write(to: &writer, at: now)
                }
            }
            writer.key("nextCursor")
            writer.value(next.map(JobListCursor.text))
        }
        var response = Response.json(encoded: writer.buffer)
        response.headers[.cacheControl] = "private, no-cache"
        return response
    }

    private static func query(_ request: Request, owner: String?, at time: Timestamp) throws -> HistoryQuery {
        var problems: [HTTPError.Detail] = []
        func read<Value>(_ name: String, _ problem: String, _ parse: (String) -> Value?) -> Value? {
            guard let text = request.queryParameter(name) else { return nil }
            let value = parse(text)
            if value == nil { problems.append(.init(field: name, problem: problem)) }
            return value
        }
        let statuses = JobStatus.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
        let status = read("status", "must be one of \(statuses)") { JobStatus(rawValue: $0) }
        let limit = read("limit", "must be an integer from \(limits.lowerBound) to \(limits.upperBound)") { text in
            let isPlain = text.utf8.count <= 3 && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
            return isPlain ? Int(text).flatMap { limits.contains($0) ? $0 : nil } : nil
        }
        let after = read("cursor", "must be the nextCursor of a page") { JobListCursor.place($0) }
        guard problems.isEmpty else { throw HTTPError.validation(problems) }
        return HistoryQuery(
            owner: owner, status: status?.rawValue, at: time, after: after, limit: limit ?? standardLimit)
    }
}

extension HistorySummary {
    /// Writes the job as a list shows it: as ``JobRecord/write(to:at:)`` does, but without the files and without what only
    /// the live record tells.
    fileprivate func write(to writer: inout JSONWriter, at time: Timestamp) throws {
        let status = try job.status(at: time)
        let isReady = status == .ready || status == .expired
        let total = job.fileIDs.count
        let progress = Progress(
            current: processedCount, total: total,
            permille: isReady ? 1000 : Progress.permille(Double(processedCount), of: Double(max(total, 1))),
            bytes: completedBytes, totalBytes: isReady ? completedBytes : nil, secondsRemaining: isReady ? 0 : nil)
        let failure = job.error.map(JobFailure.init(historyText:))
        writer.object { writer in
            writer.key("jobId")
            writer.value(job.id)
            writer.key("status")
            writer.value(status.rawValue)
            writer.key("progress")
            progress.write(to: &writer)
            writer.key("error")
            writer.value(failure?.message)
            writer.key("errorCode")
            writer.value(failure?.code)
            writer.key("createdAt")
            writer.value(job.createdAt.rfc3339)
            writer.key("updatedAt")
            writer.value(job.updatedAt.rfc3339)
            writer.key("expiresAt")
            writer.value(job.expiresAt?.rfc3339)
        }
    }
}
