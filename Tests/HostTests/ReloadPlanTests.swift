import FunctionKit
import Testing

@testable import Host

/// What goes on, and what is served, when a folder was read again.
struct ReloadPlanTests {
    private static func function(_ name: String, _ path: String, _ module: String = "1") -> LoadedFunction {
        LoadedFunction(
            name: name, manifest: FunctionManifest(trigger: .http(method: "GET", path: path)),
            handler: .http { _, _ in .text(module) }, module: "\(name)-\(module)")
    }

    private static func problem(_ name: String) -> FunctionProblem {
        FunctionProblem(function: name, problem: FileProblem(file: "\(name)/\(name).swift", line: 3, reason: "broken"))
    }

    private func plan(
        good: [LoadedFunction], loaded: [LoadedFunction], broken: [String] = [], manifests: [LoadedFunction] = [],
        failed: Set<String> = [], isStrict: Bool = false
    ) -> ReloadPlan {
        let all = loaded + manifests
        return ReloadPlan(
            good: Dictionary(uniqueKeysWithValues: good.map { ($0.name, $0) }), failed: failed,
            registry: FunctionRegistry(
                functions: loaded, problems: broken.map(Self.problem),
                manifests: Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0.manifest) })),
            isStrict: isStrict)
    }

    private func modules(_ plan: ReloadPlan) -> [String] { plan.items.map { $0.function.module ?? "" } }

    @Test func `the difference of two sets is told by function`() {
        let plan = plan(
            good: [Self.function("a", "/a"), Self.function("b", "/b"), Self.function("c", "/c")],
            loaded: [Self.function("a", "/a"), Self.function("b", "/b", "2"), Self.function("d", "/d")])
        #expect(plan.changes == ["b": .changed, "c": .removed, "d": .added])
        #expect(modules(plan) == ["a-1", "b-2", "d-1"])
        #expect(plan.problems.isEmpty)
    }

    @Test func `another manifest of the same module is a change`() {
        let plan = plan(good: [Self.function("a", "/a")], loaded: [Self.function("a", "/other")])
        #expect(plan.changes == ["a": .changed])
    }

    @Test func `a broken function goes on as it was, and is mended`() {
        let good = Self.function("a", "/a")
        let broken = plan(good: [good], loaded: [], broken: ["a", "new"])
        #expect(modules(broken) == ["a-1"])
        #expect(broken.changes == ["a": .failed(hasGood: true), "new": .failed(hasGood: false)])
        #expect(broken.good["a"]?.module == "a-1")
        let mended = plan(good: [good], loaded: [good], failed: ["a"])
        #expect(mended.changes == ["a": .mended])
    }

    @Test func `a strict plan answers for broken functions, and fetches nothing for them`() async throws {
        let plan = plan(
            good: [Self.function("a", "/a")], loaded: [], broken: ["a", "new"],
            manifests: [Self.function("a", "/a"), Self.function("new", "/new")], isStrict: true)
        #expect(plan.items.map(\.function.name) == ["a", "new"])
        #expect(plan.items.allSatisfy { !$0.isTriggered })
        #expect(plan.good["a"]?.module == "a-1")
        guard case .http(let handler) = plan.items[0].function.handler else {
            Issue.record("no handler of requests")
            return
        }
        let request = Request(method: .get, path: "/a")
        let error = await #expect(throws: HTTPError.self) { try await handler(request, LoaderWorkspace.context) }
        #expect(error?.code == "reload_failed")
        #expect(error?.message == "a/a.swift:3: broken")
    }

    @Test func `a route that a last good version has is refused, and the chain of refusals ends`() {
        // b is broken and keeps /b; a wants /b and goes on with /a; c wants /a.
        let plan = plan(
            good: [Self.function("a", "/a"), Self.function("b", "/b"), Self.function("c", "/c")],
            loaded: [Self.function("a", "/b", "2"), Self.function("c", "/a", "2")], broken: ["b"])
        #expect(modules(plan) == ["a-1", "b-1", "c-1"])
        #expect(Set(plan.problems.map(\.function)) == ["a", "b", "c"])
        #expect(
            plan.problems.contains {
                $0.description
                    == "functions/a/function.json: the route \"GET /b\" is still that of b, which goes on as it was"
            })
    }

    @Test func `a route of the host is refused, also at the start`() {
        let plan = plan(good: [], loaded: [Self.function("a", "/health"), Self.function("b", "/b")])
        #expect(modules(plan) == ["b-1"])
        #expect(plan.problems.map(\.function) == ["a"])
    }

    @Test func `a configuration's change is applied, or named where it needs a restart`() {
        var new = Configuration()
        new.log.level = .debug
        new.http.idleTimeout = .seconds(1)
        new.http.addresses = []
        new.queue.prefix = "other"
        new.queue.lockDuration = .seconds(1)
        let old = Configuration()
        let change = ConfigurationChange(from: old, to: new)
        #expect(change.applied == ["http.idleTimeout", "queue.lockDuration", "log.level"])
        #expect(change.needingRestart == ["http.listen", "queue.prefix"])
        #expect(change.concernsFunctions)
        #expect(change.configuration.queue.prefix == "bull")
        #expect(change.configuration.http.addresses == old.http.addresses)
        #expect(change.configuration.http.idleTimeout == .seconds(1))
        let none = ConfigurationChange(from: old, to: old)
        #expect(none.applied.isEmpty && none.needingRestart.isEmpty && !none.concernsFunctions)
    }
}
