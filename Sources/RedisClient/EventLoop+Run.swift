import NIOCore

extension EventLoop {
    /// Runs a closure on the loop: at once, without waking another thread, when the caller is on it already.
    func run(_ body: @escaping @Sendable () -> Void) {
        if inEventLoop { body() } else { execute(body) }
    }
}
