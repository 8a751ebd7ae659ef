internal import FunctionKit

/// How far a job is.
public struct Progress: Sendable, Hashable {
    /// Files that are done, whether completed or failed.
    public var current: Int
    /// Files in all.
    public var total: Int
    /// Tenths of a percent, 0 to 1000.
    public var permille: Int
    /// Bytes that have gone into the archive.
    public var bytes: Int64
    /// Bytes of all files, once they are known.
    public var totalBytes: Int64?
    /// Whole seconds that the rest will take, once that can be told.
    public var secondsRemaining: Int?

    /// Makes a progress; the defaults are those of a job that has not begun.
    public init(
        current: Int = 0, total: Int, permille: Int = 0, bytes: Int64 = 0, totalBytes: Int64? = nil,
        secondsRemaining: Int? = nil
    ) {
        self.current = current
        self.total = total
        self.permille = permille
        self.bytes = bytes
        self.totalBytes = totalBytes
        self.secondsRemaining = secondsRemaining
    }

    /// A share in tenths of a percent, rounded, but 1000 only when everything is done.
    static func permille(_ done: Double, of total: Double) -> Int {
        done < total ? min(Int((done / total * 1000).rounded()), 999) : 1000
    }

    /// The percentage with at most one decimal, such as `66.7`.
    public var percentage: String {
        permille % 10 == 0 ? "\(permille / 10)" : "\(permille / 10).\(permille % 10)"
    }
}

extension Progress {
    /// Writes the progress as the API shows it.
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.key("current")
            writer.value(current)
            writer.key("total")
            writer.value(total)
            writer.key("percentage")
            writer.raw(percentage)
            writer.key("bytes")
            writer.value(Int(bytes))
            writer.key("totalBytes")
            writer.value(totalBytes.map { Int($0) })
            writer.key("estimatedTimeRemaining")
            writer.value(secondsRemaining)
        }
    }
}
