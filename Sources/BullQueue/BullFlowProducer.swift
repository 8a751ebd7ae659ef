internal import FunctionKit
public import RedisClient

/// Adds trees of jobs over one or several queues.
public struct BullFlowProducer: Sendable {
    /// The most jobs of one tree.
    public static let maximumCount = 5000

    private let client: RedisClient
    private let prefix: String

    /// Makes a producer.
    ///
    /// - Parameters:
    ///   - prefix: What the keys of all queues begin with; in a cluster it must hold a hash tag, such as `{bull}`.
    ///   - client: Redis; the caller closes it.
    public init(prefix: String = "bull", client: RedisClient) {
        self.prefix = prefix
        self.client = client
    }

    /// Adds a tree in one step on the server.
    ///
    /// A parent is ready when all of its children have completed; what a child's failure means is its `onFailure`.
    ///
    /// - Parameter flow: The tree, at most ``maximumCount`` jobs.
    /// - Returns: The jobs as they were added.
    /// - Throws: ``BullError`` with code `.invalidName`, `.invalidOption` or `.invalidJSON`: none was added; `.redis`: all
    ///   may have been added; `.invalidOption` for an id of a job that has another parent, `.jobMissing` for a root whose
    ///   parent is gone: what comes before it in the tree was added.
    public func add(_ flow: BullFlow) async throws(BullError) -> BullFlowJob {
        var nodes: [Node] = []
        try collect(flow, parent: flow.job.options.parent, into: &nodes)
        var bases: [String] = []
        var arguments: [RedisArgument] = []
        arguments.reserveCapacity(nodes.count * 9)
        let now = Timestamp.now
        for node in nodes {
            let place = bases.firstIndex(of: node.keys.base) ?? bases.count
            if place == bases.count { bases.append(node.keys.base) }
            arguments.append(.integer(Int64(place + 1)))
            node.job.append(to: &arguments, now: now, waits: !node.children.isEmpty)
        }
        let reply: RESPValue
        do {
            reply = try await client.send(.evaluate(BullScripts.addFlow, keys: bases, arguments: arguments))
        } catch {
            throw BullError(.redis, "a tree of jobs could not be added", cause: error)
        }
        var refusal: BullError?
        let additions = try BullProducer.additions(reply, queue: nodes[0].keys.queue, refusal: &refusal)
        guard additions.count == nodes.count else {
            throw refusal ?? BullError(.redis, "an unexpected reply to an addition")
        }
        return result(0, nodes, additions)
    }

    private struct Node {
        let keys: BullKeys
        let job: BullProducer.NewJob
        var children: [Int] = []
    }

    /// Lists the tree, each parent before its children. Returns the root's place.
    @discardableResult
    private func collect(_ flow: BullFlow, parent: BullParent?, into nodes: inout [Node]) throws(BullError) -> Int {
        guard nodes.count < BullFlowProducer.maximumCount else {
            throw BullError(.invalidOption, "a tree has at most \(BullFlowProducer.maximumCount) jobs")
        }
        var job = flow.job
        job.options.parent = parent
        try job.validate()
        let id = job.options.id ?? BullFlowProducer.newID()
        job.options.id = id
        let place = nodes.count
        nodes.append(Node(keys: try BullKeys(queue: flow.queue, prefix: prefix), job: job))
        for child in flow.children {
            let own = BullParent(id: id, queue: flow.queue, prefix: prefix)
            nodes[place].children.append(try collect(child, parent: own, into: &nodes))
        }
        return place
    }

    private func result(_ place: Int, _ nodes: [Node], _ additions: [JobAddition]) -> BullFlowJob {
        BullFlowJob(
            id: additions[place].id, queue: nodes[place].keys.queue, isDuplicate: additions[place].isDuplicate,
            children: nodes[place].children.map { result($0, nodes, additions) })
    }

    /// A random id in the form of RFC 9562, section 5.4.
    private static func newID() -> String {
        var digits = Array(String(format(UInt64.random(in: .min ... .max)) + format(UInt64.random(in: .min ... .max))))
        digits[12] = "4"
        digits[16] = ["8", "9", "a", "b"].randomElement() ?? "8"
        for place in [20, 16, 12, 8] { digits.insert("-", at: place) }
        return String(digits)
    }

    private static func format(_ number: UInt64) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}
