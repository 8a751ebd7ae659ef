import FunctionKit
import NIOCore

/// One call and its place in a connection's queues.
final class RedisRequest: @unchecked Sendable {
    // @unchecked: made by the caller and from then on touched on the connection's event loop only.

    enum Commands {
        case one(RedisCommand)
        case many([RedisCommand])

        var count: Int {
            switch self {
            case .one: 1
            case .many(let commands): commands.count
            }
        }

        subscript(index: Int) -> RedisCommand {
            switch self {
            case .one(let command): command
            case .many(let commands): commands[index]
            }
        }
    }

    enum Waiter {
        case one(CheckedContinuation<Result<RESPValue, RedisError>, Never>)
        case many(CheckedContinuation<Result<[RESPValue], RedisError>, Never>)
    }

    let commands: Commands
    let timeout: TimeAmount
    let deadline: NIODeadline
    var sentAt = NIODeadline.uptimeNanoseconds(0)

    private var waiter: Waiter?
    private var isCancelled = false
    private var replies: [RESPValue] = []
    /// Replies of the commands that were sent last.
    private var receivedCount = 0
    /// Commands to be sent whole because the server did not know their script; empty for the first time.
    private var resent: [Int] = []
    private var unknown: [Int] = []

    init(_ commands: Commands, timeout: TimeAmount) {
        self.commands = commands
        self.timeout = timeout
        deadline = .now() + timeout
    }

    /// Whether nobody waits any more; the replies are then only counted.
    var isDone: Bool { waiter == nil }

    /// Takes the waiter; `false` when it was cancelled before.
    func begin(_ waiter: Waiter) -> Bool {
        self.waiter = waiter
        if isCancelled { cancel("the call was cancelled") }
        return !isCancelled
    }

    func cancel(_ reason: String) {
        isCancelled = true
        fail(RedisError(.cancelled, reason, cause: CancellationError()))
    }

    func fail(_ error: RedisError) {
        guard let waiter = waiter.take() else { return }
        switch waiter {
        case .one(let continuation): continuation.resume(returning: .failure(error))
        case .many(let continuation): continuation.resume(returning: .failure(error))
        }
    }

    func encode(into buffer: inout ByteBuffer, scripts: inout ScriptTable) {
        if resent.isEmpty {
            for index in 0..<commands.count { buffer.writeRedisCommand(commands[index], scripts: &scripts) }
        } else {
            for index in resent {
                buffer.writeRedisCommand(commands[index], scripts: &scripts, wholeScript: true)
            }
        }
    }

    enum Progress {
        case waiting
        case finished
        /// Scripts have to be sent whole.
        case resend
    }

    /// Takes one reply.
    func receive(_ reply: RESPValue) -> Progress {
        let isFirstTime = resent.isEmpty
        let index = isFirstTime ? receivedCount : resent[receivedCount]
        receivedCount += 1
        if isFirstTime, case .error(let text) = reply, text.hasPrefix("NOSCRIPT"),
            case .script = commands[index].form
        {
            unknown.append(index)
        }
        if isFirstTime { replies.append(reply) } else { replies[index] = reply }
        guard receivedCount == (isFirstTime ? commands.count : resent.count) else { return .waiting }
        if isDone { return .finished }
        if !unknown.isEmpty {
            resent = unknown
            unknown = []
            receivedCount = 0
            return .resend
        }
        succeed()
        return .finished
    }

    private func succeed() {
        guard let waiter = waiter.take() else { return }
        switch waiter {
        case .one(let continuation):
            if case .error(let text) = replies[0] {
                continuation.resume(returning: .failure(RedisError(.server, text)))
            } else {
                continuation.resume(returning: .success(replies[0]))
            }
        case .many(let continuation): continuation.resume(returning: .success(replies))
        }
    }
}
