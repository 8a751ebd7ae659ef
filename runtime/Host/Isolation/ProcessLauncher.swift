internal import Glibc

/// How a process has ended.
enum ProcessEnding: Sendable, Hashable, CustomStringConvertible {
    case exited(CInt)
    case signalled(CInt)
    /// It was never there, for this reason.
    case notStarted(String)

    var description: String {
        switch self {
        case .exited(let status): "exit status \(status)"
        case .signalled(let signal): "signal \(signal)"
        case .notStarted(let reason): reason
        }
    }
}

/// What a new process gets.
struct ProcessOrder: Sendable {
    let function: String
    /// The path of the function's module.
    let module: String
    /// What its workers' tokens begin with.
    let token: String
    /// Its ends of the links; the launcher closes them.
    let links: [CInt]
    let receipts: LinkReceipts
}

/// Starts functions' processes.
protocol ProcessLauncher: Sendable {
    /// Starts a process, soon.
    ///
    /// - Parameters:
    ///   - order: What it gets.
    ///   - started: Called with its id, unless it cannot be started.
    ///   - ended: Called once when it has ended; both on any thread.
    func launch(
        _ order: ProcessOrder, started: @escaping @Sendable (Int32) -> Void,
        ended: @escaping @Sendable (ProcessEnding) -> Void)

    /// Sends a signal to a process; one that has ended gets none.
    func signal(_ pid: Int32, _ signal: CInt)
}
