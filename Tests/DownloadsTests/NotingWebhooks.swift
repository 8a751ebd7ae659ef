import FunctionKit
import Synchronization

/// Receivers that note what they get and answer as the test says.
final class NotingWebhooks: WebhookClient {
    let sent = Mutex<[WebhookMessage]>([])
    let answer = Mutex<@Sendable (WebhookMessage) throws -> Result<WebhookAnswer, WebhookFailure>>({ _ in
        .success(WebhookAnswer(status: 200))
    })

    func problem(with url: String) -> String? { url.hasPrefix("https://") ? nil : "must begin with https://" }

    func post(_ message: WebhookMessage) async throws -> WebhookAnswer {
        sent.withLock { $0.append(message) }
        return try answer.withLock { $0 }(message).get()
    }
}
