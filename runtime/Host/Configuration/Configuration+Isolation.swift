extension Configuration {
    /// Functions in processes of their own.
    public struct Isolation: Sendable {
        /// How many processes a function has at most; functions for events and schedules have one.
        public var maxProcesses = 4
        /// After how long without work a process is stopped.
        public var idleTime = Duration.seconds(60)
        /// How many files a function's process may have open.
        public var openFiles = 4096
    }
}
