package import FunctionKit
public import NIOCore

/// The executors of a group's loops.
public struct LoopExecutors: Sendable {
    /// The group of the loops.
    public let group: any EventLoopGroup
    private let executors: [LoopExecutor]

    /// Makes one executor for each loop of the group.
    public init(_ group: any EventLoopGroup) {
        self.group = group
        executors = group.makeIterator().map(LoopExecutor.init)
    }

    /// All of them.
    package var all: [LoopExecutor] { executors }

    /// The executor that a piece of work without a connection gets; equal keys get the same one.
    package func executor(for key: some Hashable) -> LoopExecutor {
        executors[Int(UInt(bitPattern: key.hashValue) % UInt(executors.count))]
    }
}
