/// A way to follow a job, the best one first.
enum WatchTransport: String, Sendable, CaseIterable {
    case websocket
    case sse
    case polling

    /// The next one to try where this one does not work.
    var fallback: WatchTransport? {
        switch self {
        case .websocket: .sse
        case .sse: .polling
        case .polling: nil
        }
    }
}
