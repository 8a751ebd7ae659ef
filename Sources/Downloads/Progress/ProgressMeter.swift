/// Turns counts of files and bytes into percentage and remaining time.
///
/// The work done is measured in bytes once their total is known, in files before. The percentage never falls, also
/// when the measure changes: it waits until it is reached again. The rate is a moving average whose weight falls with
/// time (a sample that covers `dt` counts `dt / (dt + 5 s)`), so that a burst of the network does not make the
/// remaining time jump and a stall makes it grow. Nothing is told before half a second of work.
///
/// No clock inside: the caller says how long the attempt has run.
public struct ProgressMeter: Sendable {
    /// The weight of the past: after so long a sample counts half.
    private static let memory = 5.0
    /// A rate from less time than this says nothing.
    private static let minimum = 0.5
    /// A remaining time beyond a week is no information.
    private static let maximum = 604_800.0

    /// The state as of the last ``update(completedFiles:bytes:totalBytes:elapsed:)``.
    public private(set) var progress: Progress
    private var rate: Double?
    private var measured: (seconds: Double, done: Double, isBytes: Bool) = (0, 0, false)

    /// Makes a meter for an attempt at so many files.
    public init(files: Int) {
        progress = Progress(total: files)
    }

    /// Takes new counts.
    ///
    /// - Parameters:
    ///   - completedFiles: Files that are done, whether completed or failed.
    ///   - bytes: Bytes that have gone into the archive.
    ///   - totalBytes: Bytes of all files, or `nil` while unknown.
    ///   - elapsed: How long the attempt has run; not less than at the last call.
    public mutating func update(completedFiles: Int, bytes: Int64, totalBytes: Int64?, elapsed: Duration) {
        progress.current = min(max(completedFiles, 0), progress.total)
        progress.bytes = max(bytes, 0)
        progress.totalBytes = totalBytes
        let isBytes = (totalBytes ?? 0) > 0
        let total = Double(isBytes ? totalBytes ?? 0 : Int64(progress.total))
        let done = min(Double(isBytes ? progress.bytes : Int64(progress.current)), total)
        if total > 0 {
            progress.permille = max(progress.permille, Progress.permille(done, of: total))
        }
        learn(done: done, isBytes: isBytes, seconds: elapsed / .seconds(1))
        progress.secondsRemaining = remaining(total - done)
    }

    private mutating func learn(done: Double, isBytes: Bool, seconds: Double) {
        if isBytes != measured.isBytes {
            // Another measure: the rate so far has the wrong unit, but the whole attempt tells one in the new unit.
            rate = nil
            measured = (0, 0, isBytes)
        }
        let interval = seconds - measured.seconds
        guard interval > 0, seconds >= Self.minimum else { return }
        let sample = max(done - measured.done, 0) / interval
        let weight = interval / (interval + Self.memory)
        rate = rate.map { $0 + (sample - $0) * weight } ?? sample
        measured = (seconds, done, isBytes)
    }

    private func remaining(_ rest: Double) -> Int? {
        guard rest > 0 else { return 0 }
        guard let rate, rate > 0, rest / rate <= Self.maximum else { return nil }
        return Int((rest / rate).rounded(.up))
    }
}
