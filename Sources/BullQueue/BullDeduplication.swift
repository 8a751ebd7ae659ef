internal import FunctionKit

/// A job's deduplication: of all jobs with the same id one holds it, and others are turned away meanwhile.
public struct BullDeduplication: Sendable, Hashable {
    /// The id.
    public var id: String
    /// How long it is held; until the job has ended when `nil`. In milliseconds on the wire.
    public var ttl: Duration?
    /// Whether a job that is turned away makes the holder hold it for the whole time again.
    public var extends: Bool
    /// Whether a new job replaces a holder that is still delayed.
    public var replaces: Bool
    /// Whether the last job that comes while the holder is worked is kept, and added when that has ended. There is no
    /// time then.
    public var keepsLast: Bool

    /// Makes a deduplication.
    ///
    /// - Parameters:
    ///   - id: Free, not empty.
    ///   - ttl: How long it is held; until the job has ended when `nil`.
    ///   - extends: Whether a job that is turned away makes the time begin anew.
    ///   - replaces: Whether a new job replaces a holder that is still delayed.
    ///   - keepsLast: Whether the last job that comes while the holder is worked is added afterwards.
    public init(
        _ id: String, ttl: Duration? = nil, extends: Bool = false, replaces: Bool = false, keepsLast: Bool = false
    ) {
        self.id = id
        self.ttl = ttl
        self.extends = extends
        self.replaces = replaces
        self.keepsLast = keepsLast
    }

    init?(_ node: JSONNode?) {
        guard let id = node?["id"]?.string, !id.isEmpty else { return nil }
        let ttl = node?["ttl"]?.integer.flatMap { $0 > 0 ? Duration.milliseconds($0) : nil }
        self.init(
            id, ttl: ttl, extends: node?["extend"] == .bool(true), replaces: node?["replace"] == .bool(true),
            keepsLast: node?["keepLastIfActive"] == .bool(true))
    }

    func write(into writer: inout JSONWriter) {
        writer.object { writer in
            writer.key("id")
            writer.value(id)
            if let ttl, ttl.wholeMilliseconds > 0 {
                writer.key("ttl")
                writer.value(Int(ttl.wholeMilliseconds))
            }
            let flags = [("extend", extends), ("replace", replaces), ("keepLastIfActive", keepsLast)]
            for (name, isSet) in flags where isSet {
                writer.key(escaping: name)
                writer.value(true)
            }
        }
    }
}
