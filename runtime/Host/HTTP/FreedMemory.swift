internal import Glibc
internal import NIOCore
internal import Synchronization

/// Gives the memory of many closed connections back to the system.
///
/// glibc keeps freed memory for the process as long as anything above it is in use, so after a crowd has left the process
/// would stay as large as it was. When at least a thousand connections, and half of the most there were, have closed,
/// `malloc_trim(3)` runs once, a second later and on a thread of its own, since it takes some milliseconds.
final class FreedMemory: Sendable {
    private static let crowd = 1000

    private let peak = Atomic(0)
    private let isScheduled = Atomic(false)

    func connectionsGrew(to count: Int) {
        if count > peak.load(ordering: .relaxed) { peak.store(count, ordering: .relaxed) }
    }

    /// Called on the loop that does the waiting.
    func connectionsShrank(to count: Int, on loop: any EventLoop) {
        let most = peak.load(ordering: .relaxed)
        guard most - count >= FreedMemory.crowd, count <= most / 2 else { return }
        peak.store(count, ordering: .relaxed)
        guard !isScheduled.exchange(true, ordering: .relaxed) else { return }
        loop.scheduleTask(in: .seconds(1)) {
            self.isScheduled.store(false, ordering: .relaxed)
            _ = PoolThread.start { FreedMemory.trim() }
        }
    }

    private static func trim() {
        // The Glibc module does not declare it; another C library may not have it.
        guard let symbol = dlsym(nil, "malloc_trim") else { return }
        _ = unsafeBitCast(symbol, to: (@convention(c) (Int) -> CInt).self)(0)
    }
}
