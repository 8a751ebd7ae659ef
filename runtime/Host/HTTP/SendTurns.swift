internal import NIOCore

/// Keeps senders on a loop from keeping the loop.
///
/// With a client that is fast enough a sender never has to wait, and the loop works off all that is ready to run before it
/// looks at its sockets: neither a yield nor a short timer for each sender would let it, since another sender is ready by
/// then. So after so many bytes of all senders together each is held at its next send. What is left to run ends, the loop
/// looks at its sockets, and all go on. Belongs to one loop.
final class SendTurns {
    /// How much is sent in one turn.
    private static let maxBytes = 262_144
    /// Longer than a loop needs to find that nothing is ready.
    private static let pause = TimeAmount.microseconds(50)

    private let loop: any EventLoop
    private var sentBytes = 0
    private var held: [OneShot<Bool>] = []
    /// Whether senders wait for the next turn, by ``nextTurn()``.
    private(set) var isOver = false

    init(_ loop: any EventLoop) {
        self.loop = loop
    }

    /// Counts what was sent.
    func sent(_ bytes: Int) {
        sentBytes += bytes
        guard sentBytes >= SendTurns.maxBytes, !isOver else { return }
        isOver = true
        let turns = NIOLoopBound(self, eventLoop: loop)
        // The first pause may end while senders are still on their way to be held, the second begins when all are.
        loop.scheduleTask(in: SendTurns.pause) { [loop] in
            loop.scheduleTask(in: SendTurns.pause) { turns.value.begin() }
        }
    }

    /// What is set when the next turn begins.
    func nextTurn() -> OneShot<Bool> {
        let turn = OneShot<Bool>()
        held.append(turn)
        return turn
    }

    private func begin() {
        isOver = false
        sentBytes = 0
        let senders = held
        held = []
        for sender in senders { sender.set(true) }
    }
}
