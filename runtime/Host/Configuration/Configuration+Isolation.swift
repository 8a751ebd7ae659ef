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

    mutating func applyIsolation(_ root: StrictReader.Object, with reader: inout StrictReader) {
        guard let section = reader.object(root, "isolation", keys: ["maxProcesses", "idleTime", "openFiles"]) else {
            return
        }
        set(&isolation.maxProcesses, reader.integer(section, "maxProcesses", in: 1...256))
        set(&isolation.idleTime, reader.duration(section, "idleTime", in: .milliseconds(100)...(.seconds(86_400))))
        set(&isolation.openFiles, reader.integer(section, "openFiles", in: 128...1_000_000))
    }
}
