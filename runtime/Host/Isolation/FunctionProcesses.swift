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
