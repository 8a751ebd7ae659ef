/// What a transport tells while its connection stands.
enum WatchSignal {
    /// The host sent something, if only a heartbeat.
    case alive
    /// How long the host wants its clients to wait before they come back.
    case retry(Duration)
    case message(WatchMessage)
}

/// Takes a transport's signals; `true` ends the connection, as the job is over.
typealias WatchTaker = (WatchSignal) throws -> Bool
