import Glibc
import Host
import NIOPosix
import Synchronization

/// Prints lines from any thread without keeping it: a terminal that takes nothing holds up no request.
///
/// What cannot be printed in time is left out, and said so.
final class DevConsole: Sendable {
    private struct State {
        var lines: [String] = []
        var leftOut = 0
    }

    private static let limit = 2000

    private let state = Mutex(State())
    private let wakeUps: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    init() {
        (wakeUps, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Prints a line, which may hold several.
    func line(_ text: String) {
        state.withLock { state in
            if state.lines.count < DevConsole.limit { state.lines.append(text) } else { state.leftOut += 1 }
        }
        wake.yield()
    }

    /// Prints a problem as compilers do: place, reason, and the line of the source with a caret.
    func problem(_ problem: FileProblem, indent: String = "  ") {
        let text = [problem.description, problem.excerpt].compactMap(\.self).joined(separator: "\n")
        line(text.split(separator: "\n").map { indent + $0 }.joined(separator: "\n"))
    }

    /// Prints until ``finish()``, and then what is left.
    func run() async {
        for await _ in wakeUps { await print() }
        await print()
    }

    func finish() { wake.finish() }

    private func print() async {
        let (lines, leftOut) = state.withLock { state in
            defer { state = State() }
            return (state.lines, state.leftOut)
        }
        guard !lines.isEmpty else { return }
        var text = lines.joined(separator: "\n") + "\n"
        if leftOut > 0 { text += "(\(leftOut) more lines were left out)\n" }
        let output = text
        do {
            try await NIOThreadPool.singleton.runIfActive { LogOutput.write(output, to: STDOUT_FILENO) }
        } catch {
            // Cancelled before it began: the last lines are printed all the same.
            LogOutput.write(output, to: STDOUT_FILENO)
        }
    }
}
