/// How a watched job ended.
enum WatchOutcome: Sendable, Hashable {
    case ready
    case failed(String)
    case cancelled
    case expired
}
