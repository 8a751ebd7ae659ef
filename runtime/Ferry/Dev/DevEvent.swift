import Emulator
import Host

/// What `ferry dev` reacts to.
enum DevEvent: Sendable {
    /// Files were saved.
    case changed(WatchedChange)
    /// They have been read and compiled.
    case loaded(DevLoad)
    /// All is to be looked at.
    case reload
    case list
    case help
    case quit
}

/// What came of reading a change.
struct DevLoad: Sendable {
    let change: WatchedChange
    /// When the change was seen.
    let since: ContinuousClock.Instant
    /// Whether somebody asked for it and waits for what comes of it.
    let isAsked: Bool
    /// What of it was read.
    var configuration: Result<Configuration, any Error>?
    var registry: Result<FunctionRegistry, any Error>?
    /// Whether it was given up for a newer change.
    var isOutdated = false
}
