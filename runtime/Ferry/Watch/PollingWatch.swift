import AsyncHTTPClient
import FunctionKit
import Host
import NIOCore
import NIOHTTP1

/// Follows a job by asking for it, where the host lets a question wait for the next change.
struct PollingWatch {
    /// How long a question waits at the host.
    static let waitSeconds = 20
    /// The least time between two questions: a host that does not let them wait answers at once.
    static let pause = Duration.seconds(1)
    /// The largest answer: 1000 files with their errors are about a fifth of it.
    static let limitBytes = 4 << 20

    let http: HTTPClient
    let base: String
    let id: String
    /// Who calls.
    let token: Secret?

    /// Asks until the job is over or an answer is none.
    ///
    /// - Parameters:
    ///   - once: Whether one answer is enough, which is then given whatever its `seq`.
    ///   - take: Takes the signals.
    /// - Returns: How it ended, `nil` when the taker ended it, or when one answer was enough.
    /// - Throws: What the taker throws, ``CommandFailure`` for what cannot be read, `CancellationError`.
    func follow(once: Bool = false, _ take: WatchTaker) async throws -> WatchCourse.End? {
        var tag: String?
        while true {
            let start = ContinuousClock.now
            var request = HTTPClientRequest(
                url: "\(base)/v1/download/job/\(id)" + (tag == nil ? "" : "?wait=\(Self.waitSeconds)"))
            request.headers.authorize(token)
            if let tag { request.headers.add(name: "if-none-match", value: tag) }
            let response: HTTPClientResponse
            let body: ByteBuffer
            do {
                response = try await http.execute(request, timeout: .seconds(Int64(Self.waitSeconds) + 15))
                body = try await response.body.collect(upTo: Self.limitBytes)
            } catch {
                try Task.checkCancellation()
                return WatchCourse.End(error)
            }
            switch response.status {
            case .ok:
                _ = try take(.alive)
                if try take(.message(WatchMessage(job: body))) || once { return nil }
                tag = response.headers.first(name: "etag")
            case .notModified: _ = try take(.alive)
            case .notFound: return .notFound
            default: return Self.refusal(response, body)
            }
            let elapsed = ContinuousClock.now - start
            if elapsed < Self.pause { try await Task.sleep(for: Self.pause - elapsed) }
        }
    }

    /// What an answer that is an error says.
    static func refusal(_ response: HTTPClientResponse, _ body: ByteBuffer?) -> WatchCourse.End {
        let message = body.flatMap { try? JSON.decode(DownloadClient.Refusal.self, from: $0) }?.message
        let retryAfter = response.headers.first(name: "retry-after").flatMap { UInt16($0) }
        return .refused(
            status: Int(response.status.code), message: message, retryAfter: retryAfter.map { .seconds(Int($0)) })
    }
}
