internal import FunctionKit

/// The job that waits for another one.
public struct BullParent: Sendable, Hashable {
    /// Its id.
    public var id: String
    /// Its queue with the prefix, such as `bull:orders`.
    public var queue: String

    /// Names a parent.
    ///
    /// - Parameters:
    ///   - id: Its id.
    ///   - queue: Its queue's name, not empty and without a colon.
    ///   - prefix: What its queue's keys begin with.
    public init(id: String, queue: String, prefix: String = "bull") {
        self.id = id
        self.queue = "\(prefix):\(queue)"
    }

    init?(_ node: JSONNode?) {
        guard let id = node?["id"]?.string, let queue = node?["queue"]?.string else { return nil }
        self.id = id
        self.queue = queue
    }

    /// The key of its hash.
    var key: String { "\(queue):\(id)" }

    /// Writes `{"id", <queueKey>}`, and the flag of what a child's failure means, where the child's hash wants it.
    func write(into writer: inout JSONWriter, queueKey: String, flag: BullChildFailure? = nil) {
        writer.object { writer in
            writer.key("id")
            writer.value(id)
            writer.key(escaping: queueKey)
            writer.value(queue)
            if let flag {
                writer.key(escaping: flag.rawValue)
                writer.value(true)
            }
        }
    }
}

/// What a child that has failed for good means to its parent.
public enum BullChildFailure: String, Sendable, Hashable, CaseIterable {
    /// The parent fails as well.
    case failsParent = "fpof"
    /// The parent goes on at once, without waiting for the other children.
    case continuesParent = "cpof"
    /// The parent goes on without this child, which it finds among its failed ones.
    case isIgnored = "idof"
    /// The parent goes on as if there had been no such child.
    case isRemoved = "rdof"
}
