import AsyncHTTPClient
import FunctionKit
import Host
import NIOCore
import NIOHTTP1

/// Follows a job over one event stream.
struct StreamWatch {
    /// Its `read` timeout is how long a stream may be silent.
    let http: HTTPClient
    let base: String
    let id: String
    /// Who calls.
    let token: Secret?

    /// Follows the stream to its end.
    ///
    /// - Parameters:
    ///   - seq: The last message that was seen, 0 for none.
    ///   - take: Takes the signals.
    /// - Returns: How it ended, `nil` when the taker ended it.
    /// - Throws: What the taker throws, ``CommandFailure`` for what cannot be read, `CancellationError`.
    func follow(after seq: Int64, _ take: WatchTaker) async throws -> WatchCourse.End? {
        var request = HTTPClientRequest(url: "\(base)/v1/download/stream/\(id)")
        request.headers.authorize(token)
        request.headers.add(name: "accept", value: "text/event-stream")
        request.headers.add(name: "cache-control", value: "no-cache")
        if seq > 0 { request.headers.add(name: "last-event-id", value: String(seq)) }
        let response: HTTPClientResponse
        do {
            // A stream's longest life is a day.
            response = try await http.execute(request, deadline: .now() + .hours(25))
        } catch {
            try Task.checkCancellation()
            return WatchCourse.End(error)
        }
        switch response.status {
        case .ok: break
        case .noContent: return .over
        case .notFound: return .notFound
        default:
            let body = try? await response.body.collect(upTo: 64 << 10)
            return PollingWatch.refusal(response, body)
        }
        guard response.headers.first(name: "content-type")?.hasPrefix("text/event-stream") == true else {
            return .refused(status: 200, message: "the answer is no event stream", retryAfter: nil)
        }
        var parser = EventStreamParser()
        var iterator = response.body.makeAsyncIterator()
        while true {
            let chunk: ByteBuffer?
            do {
                chunk = try await iterator.next()
            } catch {
                try Task.checkCancellation()
                return WatchCourse.End(error)
            }
            guard let chunk else { return .ended }
            let retry = parser.retry
            let events = try parser.take(chunk)
            _ = try take(.alive)
            if let told = parser.retry, told != retry { _ = try take(.retry(told)) }
            for event in events where try take(.message(WatchMessage(event.data))) { return nil }
        }
    }
}
