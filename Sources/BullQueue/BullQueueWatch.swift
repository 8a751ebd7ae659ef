public import FunctionKit
public import RedisClient

/// Looks at a queue without taking part: it takes no locks and no markers, joins no group, and changes nothing.
///
/// It is for whoever starts workers and readers when there is something to do. A look is one script. Between looks
/// ``waitForEvents(on:atMost:)`` sleeps on the server until the queue tells of something: every way into a queue leaves
/// an event.
public struct BullQueueWatch: Sendable {
    /// A consumer group of the queue's events.
    public struct Group: Sendable, Hashable {
        /// The group's name.
        public let name: String
        /// The events that its readers handle.
        public let kinds: Set<QueueEvent.Kind>
        /// Its readers' ``BullEventReader/Options/redeliverAfter``.
        public let redeliverAfter: Duration
        fileprivate var seen = "0-0"

        /// Names a group, which need not exist yet and then begins with what is there.
        public init(_ name: String, kinds: Set<QueueEvent.Kind>, redeliverAfter: Duration) {
            self.name = name
            self.kinds = kinds
            self.redeliverAfter = redeliverAfter
        }
    }

    /// The queue's keys.
    public let keys: BullKeys
    private var groups: [Group]
    private var lastEventID = "0-0"

    /// Makes a watch; nothing is sent.
    ///
    /// - Parameters:
    ///   - queue: The queue's name, not empty and without a colon; it need not exist.
    ///   - prefix: What the keys begin with.
    ///   - groups: The groups of its events to be looked at.
    /// - Throws: ``BullError`` with code `.invalidName`.
    public init(queue: String, prefix: String = "bull", groups: [Group] = []) throws(BullError) {
        keys = try BullKeys(queue: queue, prefix: prefix)
        self.groups = groups
    }

    /// Looks at the queue, and remembers how far it has looked through the events.
    ///
    /// - Parameter client: Redis.
    /// - Returns: What there is.
    /// - Throws: ``BullError`` with code `.redis`.
    public mutating func look(_ client: RedisClient) async throws(BullError) -> BullQueueLook {
        var arguments: [RedisArgument] = []
        for group in groups {
            let kinds = QueueEvent.Kind.allCases.filter(group.kinds.contains).map(\.rawValue)
            arguments += [
                .string(group.name), .string(" " + kinds.joined(separator: " ") + " "), .string(group.seen),
                .integer(group.redeliverAfter.wholeMilliseconds),
            ]
        }
        let reply: RESPValue
        do {
            reply = try await client.send(
                .evaluate(BullScripts.lookAtQueue, keys: [keys.base], arguments: arguments))
        } catch {
            throw BullError(.redis, "the queue \"\(keys.queue)\" could not be looked at", cause: error)
        }
        guard let look = BullQueueLook(reply), look.groups.count == groups.count else {
            throw BullError(.redis, "an unexpected reply to a look at the queue \"\(keys.queue)\"")
        }
        lastEventID = look.lastEventID
        for index in groups.indices { groups[index].seen = look.groups[index].seen }
        return look
    }

    /// Waits until the queue tells of something that the last look has not seen.
    ///
    /// - Parameters:
    ///   - connection: A connection for this wait alone. Interrupting it ends the wait.
    ///   - limit: The longest wait; at least 1 ms.
    /// - Returns: Whether something came.
    /// - Throws: ``BullError`` with code `.redis`, also when the wait was interrupted.
    /// - Cancellation: ends the wait.
    @discardableResult
    public func waitForEvents(
        on connection: RedisBlockingConnection, atMost limit: Duration
    ) async throws(BullError) -> Bool {
        let ms = max(1, limit.wholeMilliseconds)
        do {
            let reply = try await connection.send(
                RedisCommand(["XREAD", "COUNT", "1", "BLOCK", String(ms), "STREAMS", keys.events, lastEventID]),
                deadline: .milliseconds(ms) + .seconds(1))
            return reply.array?.isEmpty == false
        } catch {
            throw BullError(.redis, "waiting for events of the queue \"\(keys.queue)\" failed", cause: error)
        }
    }
}
