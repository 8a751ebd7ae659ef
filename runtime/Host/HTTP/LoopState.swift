internal import FunctionKit
internal import NIOCore

/// What the connections of one loop share. Touched on that loop only, so nothing of it needs a lock.
final class LoopState {
    let executor: LoopExecutor
    let timers: TimerWheel
    let date = DateCache()
    let deflate = DeflateStore()
    let sendTurns: SendTurns
    var requestIDs = RequestIDGenerator()
    var router: Router<Endpoint>
    var options: HTTPServerOptions
    private var scratch = ByteBuffer()

    /// Larger than this, the buffer for answers is not kept.
    private static let keptScratchBytes = 65_536

    init(_ executor: LoopExecutor, router: Router<Endpoint>, options: HTTPServerOptions) {
        self.executor = executor
        self.router = router
        self.options = options
        timers = TimerWheel(executor.eventLoop)
        sendTurns = SendTurns(executor.eventLoop)
    }

    /// An empty buffer for one answer. Its memory is used again as soon as the answer has been written to the socket;
    /// while a slow client keeps it, the next answer gets memory of its own.
    func withScratch(_ body: (inout ByteBuffer) -> Void) -> ByteBuffer {
        if scratch.capacity > LoopState.keptScratchBytes { scratch = ByteBuffer() }
        scratch.clear(minimumCapacity: 1024)
        body(&scratch)
        return scratch
    }
}
