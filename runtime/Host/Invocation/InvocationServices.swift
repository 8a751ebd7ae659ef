public import FunctionKit
public import Logging

/// What every invocation of a process shares.
public struct InvocationServices: Sendable {
    /// The logger under the handlers' loggers.
    public var logger: Logger
    /// What the configuration grants.
    public var bindings: Bindings
    /// The threads for handlers with `"executor": "pool"`.
    public var pool: HandlerPool
    /// The loops for handlers with `"executor": "loop"`; their timers end the others too.
    public var loops: LoopExecutors
    /// Told of every invocation that is no request; the HTTP server tells of those.
    public var observe: InvocationReport.Observer?

    /// Collects them.
    public init(
        logger: Logger, bindings: Bindings, pool: HandlerPool, loops: LoopExecutors,
        observe: InvocationReport.Observer? = nil
    ) {
        self.logger = logger
        self.bindings = bindings
        self.pool = pool
        self.loops = loops
        self.observe = observe
    }
}
