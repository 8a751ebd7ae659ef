public import FunctionKit

/// Answers a request for a job when it has changed.
public enum JobPoll {
    /// The seconds that a request may ask to wait.
    static let seconds: ClosedRange<Int> = 1...30

    /// Answers a request for a job: at once, or with `?wait=` when there is something that the caller does not have.
    ///
    /// A finished job, and one whose `ETag` is not the caller's `If-None-Match`, is answered at once. Otherwise the answer
    /// waits for the next change, and comes without one after the time asked for: 304, or 200 to a caller that gave no
    /// `If-None-Match`. While Redis is away nobody can tell of a change, and the history's answer comes at once.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - context: What the host lends.
    /// - Returns: The response, with `ETag`.
    /// - Throws: ``FunctionKit/HTTPError``: 400 for an id or a time that is none, 404 for an unknown job. A store's error.
    /// - Cancellation: throws `CancellationError`.
    public static func response(to request: Request, _ context: Context) async throws -> Response {
        let id = try request.jobID()
        let wait = try wait(request)
        var job = try await context.downloadJob(id)
        if let wait, job.isAwaited(by: request, at: .now) {
            let subscription: any ChannelSubscription
            do {
                subscription = try await context.bindings.keyValue.listen(to: JobStore.channel(id))
            } catch let error as any ClassifiedError where error.isUnavailable {
                try Task.checkCancellation()
                let callback = try await context.callback(of: job)
                return job.response(to: request, at: .now, callback: callback)
            }
            defer { subscription.cancel() }
            job = try await context.downloadJob(id)
            if job.isAwaited(by: request, at: .now) {
                job = try await changed(job, subscription, within: wait, context)
            }
        }
        let callback = try await context.callback(of: job)
        return job.response(to: request, at: .now, callback: callback)
    }

    private static func wait(_ request: Request) throws -> Duration? {
        guard let text = request.queryParameter("wait") else { return nil }
        let isPlain = text.utf8.count <= 2 && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
        guard isPlain, let number = Int(text), seconds.contains(number) else {
            let problem = "must be whole seconds from \(seconds.lowerBound) to \(seconds.upperBound)"
            throw HTTPError.validation([.init(field: "wait", problem: problem)])
        }
        return .seconds(number)
    }

    /// The job after its next change, or as it is when the time is over.
    private static func changed(
        _ job: JobRecord, _ subscription: any ChannelSubscription, within time: Duration, _ context: Context
    ) async throws -> JobRecord {
        let known = job.seq
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await Task.sleep(for: time)
                subscription.cancel()
            }
            defer { group.cancelAll() }
            while true {
                let elements = await subscription.next()
                if elements.isEmpty { break }
                var isChanged = false
                for element in elements {
                    switch element {
                    case .message(let json): isChanged = isChanged || (WatchMessage(published: json)?.seq ?? 0) > known
                    case .gap:
                        let current = try await context.downloadJob(job.id)
                        isChanged = isChanged || current.seq > known || current.status != job.status
                    }
                }
                if isChanged { break }
            }
        }
        try Task.checkCancellation()
        return try await context.downloadJob(job.id)
    }
}
