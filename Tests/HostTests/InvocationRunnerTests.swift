import FunctionKit
import NIOPosix
import Synchronization
import Testing

@testable import Host

/// The entry for queue triggers.
struct InvocationRunnerTests {
    private func runner(
        executor: FunctionManifest.Executor = .pool, timeout: Duration = .seconds(20), concurrency: Int = 1,
        queueLimit: Int = 1, log: LogRecorder = LogRecorder()
    ) -> FunctionRunner {
        let services = InvocationServices(
            logger: log.logger, bindings: Bindings(), pool: HandlerPool { _ in },
            loops: LoopExecutors(MultiThreadedEventLoopGroup.singleton))
        let manifest = FunctionManifest(
            trigger: .queue(name: "q", on: .process), timeout: timeout, concurrency: concurrency,
            queueLimit: queueLimit, executor: executor)
        let function = LoadedFunction(name: "work", manifest: manifest, handler: .queue { _, _ in "" })
        return FunctionRunner(function, services: services)
    }

    private func code(_ error: InvocationError?) -> String {
        switch error {
        case .saturated: "saturated"
        case .timedOut: "timedOut"
        case .cancelled: "cancelled"
        case .handler: "handler"
        case nil: "none"
        }
    }

    @Test(arguments: [FunctionManifest.Executor.loop, .pool])
    func returnsResultsAndErrors(executor: FunctionManifest.Executor) async throws {
        let log = LogRecorder()
        let runner = runner(executor: executor, log: log)
        let progress = Mutex<[String]>([])
        let report: @Sendable (String) async throws -> Void = { text in progress.withLock { $0.append(text) } }
        let result = try await runner.run(
            requestID: "job-1", attempt: 3, traceParent: "00-1", reportProgress: report
        ) { context in
            try await context.progress(["n": 1])
            context.logger.info("working")
            return "\(context.requestID) \(context.attempt) \(context.traceParent ?? "")"
        }
        #expect(result == "job-1 3 00-1")
        #expect(progress.withLock { $0 } == [#"{"n":1}"#])
        #expect(log.lines("working").first?.metadata == ["function": "work", "request_id": "job-1", "attempt": "3"])
        let error = await #expect(throws: InvocationError.self) {
            try await runner.run(requestID: "x") { _ in throw Permanent("no", class: .validation) }
        }
        guard case .handler(let cause) = error else {
            Issue.record("not the handler's error")
            return
        }
        #expect(cause is Permanent)
        #expect(error?.errorClass == .validation)
        #expect(runner.counts == (0, 0))
    }

    @Test func returnsInTimeWhenTheHandlerHeedsNoCancellation() async {
        let runner = runner()
        let outlived = Mutex(0)
        let release = OneShot<Void>()
        let error = await #expect(throws: InvocationError.self) {
            try await runner.run(
                requestID: "x", timeout: .milliseconds(100),
                outlived: { isOutlived in outlived.withLock { $0 += isOutlived ? 1 : -1 } },
                { _ in await release.value() })
        }
        #expect(code(error) == "timedOut")
        // Its slot stays taken until it ends, so the next one waits in vain; it never ran, so it did not time out.
        #expect(runner.counts.running == 1)
        #expect(outlived.withLock { $0 } == 1)
        let waiting = await #expect(throws: InvocationError.self) {
            try await runner.run(requestID: "y", timeout: .milliseconds(100)) { _ in }
        }
        #expect(code(waiting) == "saturated")
        release.set(())
        await eventually("the slot is free") { runner.counts == (0, 0) && outlived.withLock { $0 } == 0 }
    }

    @Test func turnsAwayWhatMayNotWait() async {
        let runner = runner(queueLimit: 0)
        let release = OneShot<Void>()
        async let first: Void = runner.run(requestID: "1") { _ in await release.value() }
        await eventually("it runs") { runner.counts.running == 1 }
        let error = await #expect(throws: InvocationError.self) { try await runner.run(requestID: "2") { _ in } }
        #expect(code(error) == "saturated")
        release.set(())
        _ = try? await first
    }

    @Test func endsWithItsCaller() async {
        let runner = runner()
        let release = OneShot<Void>()
        let started = OneShot<Void>()
        let sawCancellation = OneShot<Bool>()
        let running = Task {
            try await runner.run(requestID: "1") { _ in
                started.set(())
                await release.value()
                sawCancellation.set(Task.isCancelled)
            }
        }
        await started.value()
        let waiting = Task { try await runner.run(requestID: "2") { _ in } }
        await eventually("it waits") { runner.counts.waiting == 1 }
        waiting.cancel()
        running.cancel()
        for task in [waiting, running] {
            let error = await #expect(throws: InvocationError.self) { try await task.value }
            #expect(code(error) == "cancelled")
        }
        #expect(runner.counts == (1, 0))
        release.set(())
        #expect(await sawCancellation.value())
        await eventually("nothing runs") { runner.counts == (0, 0) }
    }

    @Test func waitsForHandlersThatCleanUpAfterTheirCallersAnswer() async {
        let runner = runner()
        #expect(await runner.waitUntilIdle(atMost: .seconds(20)))
        let release = OneShot<Void>()
        let hasCleaned = Shared(false)
        await #expect(throws: InvocationError.self) {
            try await runner.run(requestID: "1", timeout: .milliseconds(10)) { _ in
                await release.value()
                hasCleaned.update { $0 = true }
            }
        }
        #expect(await !runner.waitUntilIdle(atMost: .milliseconds(10)))
        async let isIdle = runner.waitUntilIdle(atMost: .seconds(20))
        release.set(())
        #expect(await isIdle)
        #expect(hasCleaned.value)
    }

    @Test func holdsItsConcurrencyUnderLoad() async throws {
        let runner = runner(concurrency: 3, queueLimit: 1000)
        let running = Shared((now: 0, most: 0))
        try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<300 {
                group.addTask {
                    try await runner.run(requestID: "\(index)") { _ in
                        running.update { running in
                            running.now += 1
                            running.most = max(running.most, running.now)
                        }
                        await Task.yield()
                        running.update { $0.now -= 1 }
                        return index
                    }
                }
            }
            let sum = try await group.reduce(0, +)
            #expect(sum == 300 * 299 / 2)
        }
        #expect((1...3).contains(running.value.most))
        #expect(runner.counts == (0, 0))
    }
}
