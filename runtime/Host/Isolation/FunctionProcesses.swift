/// The processes of functions that run isolated, each function in its own.
public protocol FunctionProcesses: Sendable {
    /// Has at least so many processes of a function run, bounded by the function's limit, and keeps those that run from
    /// ending as idle for one idle time.
    ///
    /// It returns as soon as what is missing is being started. After crashes a start may be refused for a while; the
    /// caller asks again as long as there is work.
    ///
    /// - Parameters:
    ///   - function: The function's name.
    ///   - processes: How many, at least 1.
    func ensure(_ function: String, processes: Int) async

    /// How many processes of a function start or serve. One that was told to end counts no more. Does not wait.
    func running(_ function: String) -> Int
}

/// Who is told of processes that have ended.
public protocol FunctionProcessesDelegate: Sendable {
    /// A process has ended and was reaped; it touches nothing any more. Returns at once.
    ///
    /// - Parameters:
    ///   - function: The function's name.
    ///   - workerToken: What the process's queue worker was told to call itself.
    ///   - wasCrash: Whether the end was not asked for.
    func processEnded(function: String, workerToken: String, wasCrash: Bool) async
}
