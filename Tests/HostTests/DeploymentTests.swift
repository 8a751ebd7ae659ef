import FunctionKit
import Logging
import NIOPosix
import ServiceLifecycle
import Synchronization
import Testing

@testable import Host

/// A trigger that says what becomes of it.
private final class FakeTrigger: Service {
    let version: String
    let steps: Mutex<[String]>

    init(_ version: String) {
        self.version = version
        steps = Mutex([])
    }

    func run() async throws {
        steps.withLock { $0.append("began") }
        try? await gracefulShutdown()
        steps.withLock { $0.append("ended") }
    }
}

/// Functions of a process that change while it runs.
struct DeploymentTests {
    private let triggers = Triggers()

    private final class Triggers: Sendable {
        let all = Mutex<[FakeTrigger]>([])

        var last: FakeTrigger? { all.withLock { $0.last } }
    }

    private func makeDeployment() -> Deployment {
        let services = InvocationServices(
            logger: LogRecorder().logger, bindings: Bindings(), pool: HandlerPool { _ in },
            loops: LoopExecutors(MultiThreadedEventLoopGroup.singleton))
        return Deployment(
            Deployment.Setup(services: services) { [triggers] runner in
                guard case .queue = runner.function.manifest.trigger else { return nil }
                if runner.function.module == "refused" { throw Permanent("no such queue") }
                let trigger = FakeTrigger(runner.function.module ?? "")
                triggers.all.withLock { $0.append(trigger) }
                return trigger
            })
    }

    private func item(
        _ name: String, _ module: String, timeout: Duration = .seconds(20), isTriggered: Bool = true
    ) -> Deployment.Item {
        let manifest = FunctionManifest(
            trigger: .queue(name: name, on: .process), timeout: timeout, concurrency: 1, executor: .loop)
        let function = LoadedFunction(
            name: name, manifest: manifest, handler: .queue { _, _ in module }, module: module)
        return Deployment.Item(function, isTriggered: isTriggered)
    }

    /// Runs a deployment while the body does, and then ends it gracefully.
    private func running(_ deployment: Deployment, _ body: () async throws -> Void) async throws {
        let quiet = Logger(label: "group") { _ in SwiftLogNoOpLogHandler() }
        let group = ServiceGroup(services: [deployment], logger: quiet)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            try await body()
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    @Test func `an unchanged function keeps runner and trigger, a changed one gets others`() async throws {
        let deployment = makeDeployment()
        try await deployment.apply([item("a", "a1"), item("b", "b1")])
        let before = deployment.runners
        try await running(deployment) {
            await eventually("both run") {
                triggers.all.withLock { $0.allSatisfy { $0.steps.withLock { $0 } == ["began"] } }
            }
            let published = Mutex<[String?]>([])
            try await deployment.apply([item("a", "a1"), item("b", "b2")]) { runners in
                published.withLock { $0 = runners.map(\.function.module) }
            }
            #expect(published.withLock { $0 } == ["a1", "b2"])
            #expect(deployment.runners[0] === before[0])
            #expect(deployment.runners[1] !== before[1])
            let all = triggers.all.withLock { $0 }
            #expect(all.map(\.version).sorted() == ["a1", "b1", "b2"])
            await eventually("the old one has ended and the new one runs") {
                func steps(_ version: String) -> [String] {
                    all.first { $0.version == version }?.steps.withLock { $0 } ?? []
                }
                return steps("b1") == ["began", "ended"] && steps("b2") == ["began"] && steps("a1") == ["began"]
            }
            try await deployment.apply([item("a", "a1")])
            await eventually("the removed one ends") { all.last?.steps.withLock { $0 } == ["began", "ended"] }
            #expect(deployment.runners.map(\.function.name) == ["a"])
        }
        #expect(triggers.all.withLock { $0.allSatisfy { $0.steps.withLock { $0.last } == "ended" } })
    }

    @Test func `what cannot be made or published changes nothing`() async throws {
        let deployment = makeDeployment()
        try await deployment.apply([item("a", "a1")])
        let before = deployment.runners
        let refusal = await #expect(throws: Deployment.Refusal.self) {
            try await deployment.apply([item("a", "a2"), item("b", "refused")])
        }
        #expect(refusal?.function == "b")
        #expect(deployment.runners.map(ObjectIdentifier.init) == before.map(ObjectIdentifier.init))
        await #expect(throws: Permanent.self) {
            try await deployment.apply([item("a", "a2")]) { _ in throw Permanent("routes") }
        }
        #expect(deployment.runners[0] === before[0])
        try await running(deployment) {
            await eventually("the first one runs") {
                triggers.all.withLock { $0.first?.steps.withLock { $0 } == ["began"] }
            }
        }
    }

    @Test func `one without a trigger is not fetched for, and a new setup has all made anew`() async throws {
        let deployment = makeDeployment()
        try await deployment.apply([item("a", "a1", isTriggered: false)])
        #expect(triggers.last == nil)
        try await deployment.apply([item("a", "a1")])
        #expect(triggers.last?.version == "a1")
        let before = deployment.runners[0]
        let setup = Deployment.Setup(
            services: InvocationServices(
                logger: LogRecorder().logger, bindings: Bindings(), pool: HandlerPool { _ in },
                loops: LoopExecutors(MultiThreadedEventLoopGroup.singleton))
        ) { _ in nil }
        try await deployment.apply([item("a", "a1")], setup: setup)
        #expect(deployment.runners[0] !== before)
    }

    @Test func `the limit holds over a swap, and what waits goes on in its order`() async throws {
        let deployment = makeDeployment()
        try await deployment.apply([item("a", "a1")])
        let old = deployment.runners[0]
        let gate = OneShot<Void>()
        let order = Order()
        try await running(deployment) {
            async let first: Void = old.run(requestID: "1") { _ in
                await gate.value()
                order.all.withLock { $0.append("old") }
            }
            await eventually("it runs") { old.counts.running == 1 }
            try await deployment.apply([item("a", "a2")])
            let new = deployment.runners[0]
            #expect(new.counts.running == 1)
            async let second: Void = new.run(requestID: "2") { _ in order.all.withLock { $0.append("new") } }
            await eventually("the new one waits") { new.counts.waiting == 1 }
            gate.set(())
            _ = try await (first, second)
            #expect(order.all.withLock { $0 } == ["old", "new"])
            await eventually("the old one is forgotten") { deployment.allRunners.count == 1 }
        }
    }

    @Test func `a handler of a replaced version that never ends loses its place`() async throws {
        let deployment = makeDeployment()
        try await deployment.apply([item("a", "a1", timeout: .milliseconds(50))])
        let old = deployment.runners[0]
        let gate = OneShot<Void>()
        try await running(deployment) {
            let error = await #expect(throws: InvocationError.self) {
                try await old.run(requestID: "1") { _ in await gate.value() }
            }
            guard case .timedOut = error else {
                Issue.record("not timed out")
                return
            }
            try await deployment.apply([item("a", "a2", timeout: .seconds(20))])
            let answer = try await deployment.runners[0].run(requestID: "2") { _ in "new" }
            #expect(answer == "new")
            gate.set(())
            await eventually("the place is free") { deployment.runners[0].counts.running == 0 }
        }
    }

    @Test func `replaced runners are released`() async throws {
        let deployment = makeDeployment()
        let released = Mutex<[WeakRunner]>([])
        try await running(deployment) {
            for version in 1...50 {
                try await deployment.apply([item("a", "a\(version)")])
                released.withLock { $0.append(WeakRunner(deployment.runners[0])) }
            }
            triggers.all.withLock { $0 = [] }
            await eventually("all but the last one are gone") {
                released.withLock { $0.filter { $0.runner != nil }.count } == 1
            }
        }
    }

    /// What happened, in its order.
    private final class Order: Sendable {
        let all = Mutex<[String]>([])
    }

    private struct WeakRunner: Sendable {
        // Written by the initialiser only.
        nonisolated(unsafe) weak var runner: FunctionRunner?
        init(_ runner: FunctionRunner) { self.runner = runner }
    }

    @Test func `the first invocation of a module is cold, one of a module that was served before is not`() async throws
    {
        let deployment = makeDeployment()
        func isCold() -> Bool { deployment.runners[0].takeCold() }
        try await deployment.apply([item("a", "a1")])
        #expect(isCold())
        #expect(!isCold())
        try await deployment.apply([item("a", "a2")])
        #expect(isCold())
        try await deployment.apply([item("a", "a1")])
        #expect(!isCold())
    }
}
