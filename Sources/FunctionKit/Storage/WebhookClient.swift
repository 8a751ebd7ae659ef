/// Posts signed messages to URLs that callers have named. The host decides where they may lead, and has the secret.
public protocol WebhookClient: Sendable {
    /// What keeps a URL from being used, as far as its text tells, such as `must begin with https://`; `nil` when nothing
    /// does. The name in it is not looked up, so that a call may be refused all the same.
    func problem(with url: String) -> String?

    /// Sends a message once and waits for the answer. Redirects are not followed; the answer's body is dropped.
    ///
    /// - Parameter message: The message.
    /// - Returns: The answer, whatever its status.
    /// - Throws: ``WebhookFailure`` when there was no answer; the message may have arrived all the same, unless its reason
    ///   is `refused`, `unknownName` or `unreachable`.
    /// - Cancellation: throws `CancellationError`; the message may have been sent.
    func post(_ message: WebhookMessage) async throws -> WebhookAnswer
}

/// A message to a receiver.
public struct WebhookMessage: Sendable, Hashable {
    /// Where it goes; one that ``WebhookClient/problem(with:)`` has nothing against.
    public let url: String
    /// Names what is told, the same at each attempt; visible ASCII characters.
    public let id: String
    /// Which attempt this is, from 1.
    public let attempt: Int
    /// JSON.
    public let body: ByteBuffer

    /// Makes a message.
    public init(url: String, id: String, attempt: Int, body: ByteBuffer) {
        self.url = url
        self.id = id
        self.attempt = attempt
        self.body = body
    }
}

/// A receiver's answer.
public struct WebhookAnswer: Sendable, Hashable {
    /// The status code, 200 to 599.
    public let status: Int
    /// The time after which the receiver wants to be asked again, when it says so.
    public let retryAfter: Duration?

    /// Makes an answer.
    public init(status: Int, retryAfter: Duration? = nil) {
        self.status = status
        self.retryAfter = retryAfter
    }
}

/// Why a receiver gave no answer.
public struct WebhookFailure: ClassifiedError, Equatable {
    /// The reasons.
    public enum Reason: String, Sendable, CaseIterable {
        /// The URL or the address behind its name is one that the host does not call.
        case refused
        /// The name has no address, or was not found out in time.
        case unknownName
        /// No connection came about.
        case unreachable
        /// TLS failed: the receiver's certificate above all.
        case untrusted
        /// The answer did not come in time.
        case timeout
        /// What came was no answer, or the connection ended before it.
        case broken
    }

    /// The reason.
    public let reason: Reason
    /// What happened, for the log; without the URL's query.
    public let detail: String

    /// Makes a failure.
    public init(_ reason: Reason, _ detail: String) {
        self.reason = reason
        self.detail = detail
    }

    /// The reason and the detail.
    public var description: String { "webhook: \(reason.rawValue): \(detail)" }

    /// The class under which the failure is counted.
    public var errorClass: ErrorClass {
        switch reason {
        case .refused: .validation
        case .timeout: .timeout
        case .unknownName, .unreachable, .untrusted, .broken: .network
        }
    }

    /// Whether the reasons are the same.
    public static func == (a: WebhookFailure, b: WebhookFailure) -> Bool { a.reason == b.reason }
}
