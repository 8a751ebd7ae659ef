/// How many jobs a queue holds, by state, and how it is set.
public struct BullQueueCounts: Sendable, Hashable {
    /// Jobs by state; every state but ``BullJobState/unknown`` is there.
    public var jobs: [BullJobState: Int]
    /// Whether no job is taken for now.
    public var isPaused: Bool
    /// How many jobs may be active at once, over all workers; `nil` for any number.
    public var globalConcurrency: Int?
    /// How many jobs may start in a window, over all workers; `nil` for any number.
    public var globalRateLimit: BullRateLimit?
    /// Which client wrote the queue's version, such as `bullmq:5.81.3`; `nil` for none.
    public var version: String?

    /// The jobs of a state.
    public subscript(state: BullJobState) -> Int { jobs[state] ?? 0 }

    /// What makes it unsafe to work this queue together with clients of another generation; empty when nothing does.
    ///
    /// A client of version 5 pauses by renaming `wait` to `paused` and resumes by renaming it back over `wait`: what
    /// others added in between is then in no list any more.
    public var hazards: [String] {
        var hazards: [String] = []
        if let version, version.hasPrefix("bullmq:5") {
            hazards.append("a client of version 5 shares it (\(version)): it must not pause or resume this queue")
        }
        if self[.paused] > 0 {
            hazards.append(
                "a client of version 5 put \(self[.paused]) jobs aside: resume it here, not with that client")
        }
        return hazards
    }
}

/// A limit of starts over all workers.
public struct BullRateLimit: Sendable, Hashable {
    /// How many jobs may start in a window, at least 1.
    public var count: Int
    /// The length of the window, which opens with its first start; at least 1 ms.
    public var window: Duration

    /// Makes a limit.
    public init(count: Int, window: Duration) {
        self.count = count
        self.window = window
    }
}
