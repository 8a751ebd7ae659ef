internal import DequeModule
internal import NIOCore

/// A sender that waits until the client takes more.
struct SendWaiter<Item: Sendable>: Sendable {
    /// What it sends; empty once that was written.
    var items: [Item]
    let sent: OneShot<Result<Void, CancellationError>>
}

/// A user of a connection whose handler sends, and waits while the client does not take it.
///
/// What a slow client has not taken is in the channel and the kernel, both bounded, or with senders that wait here in
/// their order. Everything is called on the connection's loop.
protocol SendingUser: ConnectionUser, SendableMetatype {
    associatedtype Item: Sendable

    var connection: HTTPConnection { get }
    /// Whether the handler may send.
    var isOpen: Bool { get }
    var waiters: Deque<SendWaiter<Item>> { get set }
    /// What was written so far.
    var writtenBytes: Int { get }
    /// When a client that takes nothing counts as gone, and what it had taken when that was set.
    var stallsAt: NIODeadline { get set }
    var takenBytes: Int { get set }

    /// Does what comes before the first thing that is sent.
    ///
    /// - Throws: `CancellationError` when the client has gone.
    func prepareToSend() throws(CancellationError)
    /// Writes and flushes; the use may be over after it.
    func write(_ items: [Item])
    func setDeadline()
}

extension SendingUser {
    /// Sends, as far as the client need not be waited for.
    ///
    /// - Returns: `nil` when all is done. Otherwise the sender waits, with what is still to be sent after that.
    /// - Throws: `CancellationError` when the use is over.
    func sendAtOnce(_ items: [Item]) throws(CancellationError) -> [Item]? {
        try prepareToSend()
        guard isOpen else { throw CancellationError() }
        guard waiters.isEmpty, connection.isWritable else {
            watchSlowClient()
            return items
        }
        write(items)
        guard isOpen else { throw CancellationError() }
        if connection.isWritable { return nil }
        watchSlowClient()
        return []
    }

    /// Does for a sender that waits what ``sendAtOnce(_:)`` does, now or later.
    func enqueue(_ waiter: SendWaiter<Item>) {
        guard !waiter.sent.isSet else { return }
        do throws(CancellationError) {
            guard let rest = try sendAtOnce(waiter.items) else {
                waiter.sent.set(.success(()))
                return
            }
            waiters.append(SendWaiter(items: rest, sent: waiter.sent))
        } catch {
            waiter.sent.set(.failure(error))
        }
    }

    /// Lets senders go on for as long as the client takes what they send.
    func resumeSenders() {
        while isOpen, connection.isWritable, let waiter = waiters.popFirst() {
            guard !waiter.sent.isSet else { continue }
            if !waiter.items.isEmpty {
                write(waiter.items)
                guard isOpen else {
                    waiter.sent.set(.failure(CancellationError()))
                    return
                }
                if !connection.isWritable {
                    waiters.prepend(SendWaiter(items: [], sent: waiter.sent))
                    break
                }
            }
            waiter.sent.set(.success(()))
        }
        if isOpen, !waiters.isEmpty { watchSlowClient() }
    }

    /// Forgets the senders that do not wait any more.
    func dropCancelledSenders() {
        waiters.removeAll { $0.sent.isSet }
    }

    /// Ends all senders: nothing more is sent.
    func failSenders() {
        let left = waiters
        waiters = []
        for waiter in left { waiter.sent.set(.failure(CancellationError())) }
    }

    /// How much of what was written the kernel has.
    var takenNow: Int { writtenBytes - connection.unsentBytes }

    /// Begins to watch whether the client takes anything.
    func watchSlowClient() {
        guard stallsAt == .distantFuture else { return }
        takenBytes = takenNow
        stallsAt = .now() + TimeAmount(connection.loop.options.writePauseTimeout)
        setDeadline()
    }
}

extension NIOLoopBound where Value: SendingUser {
    /// Sends for a handler: on the connection's loop a call is a call, from elsewhere it is a hop.
    ///
    /// - Throws: `CancellationError` when the use is over or the task is cancelled.
    func send(_ items: [Value.Item]) async throws {
        try Task.checkCancellation()
        var rest = items
        if eventLoop.inEventLoop {
            let turns = value.connection.loop.sendTurns
            if turns.isOver { _ = await turns.nextTurn().value() }
        }
        if eventLoop.inEventLoop {
            guard let left = try value.sendAtOnce(items) else { return }
            rest = left
        }
        let waiter = SendWaiter(items: rest, sent: OneShot())
        if eventLoop.inEventLoop {
            value.enqueue(waiter)
        } else {
            eventLoop.execute { value.enqueue(waiter) }
        }
        let result = await withTaskCancellationHandler {
            await waiter.sent.value()
        } onCancel: {
            waiter.sent.set(.failure(CancellationError()))
            eventLoop.execute { value.dropCancelledSenders() }
        }
        try result.get()
    }
}
