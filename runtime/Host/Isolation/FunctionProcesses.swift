/// The processes of functions, for what starts them for other reasons than requests: a queue's jobs, events, times.
public protocol FunctionProcesses: Sendable {
    /// Starts processes of a function if fewer run, within its limit and its back-off, and keeps those that run for
    /// another idle time. An unknown name does nothing.
    func ensure(_ function: String, processes: Int) async

    /// How many processes of a function run or start, those that are ending not among them.
    func running(_ function: String) -> Int
}

/// Told of the ends of functions' processes.
public protocol FunctionProcessObserver: Sendable {
    /// A process has ended, and its memory and connections are gone.
    ///
    /// - Parameters:
    ///   - function: The function.
    ///   - workerToken: What the process's workers lock their jobs with begins with this, in hexadecimal digits.
    ///   - wasCrash: Whether it ended without having been asked to, or had to be killed.
    func processEnded(function: String, workerToken: String, wasCrash: Bool) async
}

/// A function's process, for people.
public struct FunctionProcessStatus: Sendable {
    /// What a process does.
    public enum State: String, Sendable {
        /// It loads its function.
        case starting
        /// It takes calls.
        case running
        /// It ends what it does and takes no more.
        case ending
    }

    /// The process id; `nil` until the system has given one.
    public let pid: Int32?
    /// What it does.
    public let state: State
    /// How many calls it works on.
    public let inFlight: Int
    /// How long it has been there.
    public let age: Duration
    /// How long its start took; `nil` while it starts.
    public let coldStart: Duration?
}
