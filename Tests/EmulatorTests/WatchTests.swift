import Emulator
import Foundation
import Glibc
import Synchronization
import Testing

/// Saves, as editors make them, and what a watcher makes of them.
struct WatchTests {
    private static let start = ContinuousClock.now

    private func at(_ milliseconds: Int) -> ContinuousClock.Instant { Self.start + .milliseconds(milliseconds) }

    @Test func `a change is due after quiet, and gathers what came`() {
        var debouncer = ChangeDebouncer(quiet: .milliseconds(40), limit: .milliseconds(400))
        #expect(debouncer.due == nil)
        debouncer.add(WatchedChange(functions: ["a"]), at: at(0))
        debouncer.add(WatchedChange(), at: at(35))
        #expect(debouncer.due == at(40))
        debouncer.add(WatchedChange(functions: ["b"], hasConfiguration: true), at: at(30))
        #expect(debouncer.take(at: at(69)) == nil)
        #expect(debouncer.take(at: at(70)) == WatchedChange(functions: ["a", "b"], hasConfiguration: true))
        #expect(debouncer.take(at: at(900)) == nil)
    }

    @Test func `a change that never comes to rest is due at the bound`() {
        var debouncer = ChangeDebouncer(quiet: .milliseconds(40), limit: .milliseconds(400))
        for step in 0..<20 {
            #expect(debouncer.take(at: at(step * 20)) == nil)
            debouncer.add(WatchedChange(functions: ["a"]), at: at(step * 20))
        }
        #expect(debouncer.take(at: at(400)) == WatchedChange(functions: ["a"]))
    }

    @Test func `only a change of the same function outdates work on it`() {
        let work = WatchedChange(functions: ["a"])
        #expect(work.isOutdated(by: WatchedChange(functions: ["a", "b"])))
        #expect(work.isOutdated(by: WatchedChange(isWhole: true)))
        #expect(!work.isOutdated(by: WatchedChange(functions: ["b"])))
        #expect(!work.isOutdated(by: WatchedChange(hasConfiguration: true)))
        #expect(!WatchedChange(hasConfiguration: true).isOutdated(by: work))
    }

    /// A folder with one function, watched.
    private final class Fixture: Sendable {
        let root: URL
        let seen = Mutex<[WatchedChange]>([])
        let hasBegun = Mutex(false)

        init() throws {
            root = FileManager.default.temporaryDirectory.appending(path: "ferry-watch-\(UUID())")
            try FileManager.default.createDirectory(
                at: root.appending(path: "functions/a"), withIntermediateDirectories: true)
        }

        deinit { try? FileManager.default.removeItem(at: root) }

        func url(_ path: String) -> URL { root.appending(path: path) }

        func write(_ path: String, _ text: String = "x") throws { try Data(text.utf8).write(to: url(path)) }

        func rename(_ path: String, _ other: String) throws {
            #expect(Glibc.rename(url(path).path, url(other).path) == 0)
        }

        /// Does something and waits for a change that follows from it.
        func expect(_ change: WatchedChange, _ act: () throws -> Void) async throws {
            seen.withLock { $0 = [] }
            try act()
            let limit = ContinuousClock.now + .seconds(10)
            while ContinuousClock.now < limit {
                // What is looked at as a whole may name a part besides.
                if seen.withLock({ $0.contains { $0 == change || $0.isWhole && change.isWhole } }) { return }
                try await Task.sleep(for: .milliseconds(5))
            }
            Issue.record("no \(change) but \(seen.withLock { $0 })")
        }
    }

    private func watching(_ body: @escaping @Sendable (Fixture) async throws -> Void) async throws {
        let fixture = try Fixture()
        let watcher = FolderWatcher(
            functionsFolder: fixture.url("functions").path, configurationFile: fixture.url("config.json").path)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await watcher.run { event in
                    switch event {
                    case .began: fixture.hasBegun.withLock { $0 = true }
                    case .changed(let change): fixture.seen.withLock { $0.append(change) }
                    case .failed(let reason): Issue.record("\(reason)")
                    }
                }
            }
            let limit = ContinuousClock.now + .seconds(10)
            while !fixture.hasBegun.withLock({ $0 }), ContinuousClock.now < limit {
                try await Task.sleep(for: .milliseconds(5))
            }
            try await body(fixture)
            group.cancelAll()
        }
    }

    @Test func `saves of all kinds are seen, and what editors leave beside them is not`() async throws {
        try await watching { fixture in
            let saved = WatchedChange(functions: ["a"])
            try await fixture.expect(saved) { try fixture.write("functions/a/A.swift") }
            try await fixture.expect(saved) { try fixture.write("functions/a/A.swift", "longer") }
            try await fixture.expect(saved) {
                try fixture.write("functions/a/.A.swift.tmp")
                try fixture.rename("functions/a/.A.swift.tmp", "functions/a/A.swift")
            }
            try await fixture.expect(saved) { try fixture.write("functions/a/function.json") }
            try await fixture.expect(saved) {
                try FileManager.default.removeItem(at: fixture.url("functions/a/A.swift"))
            }
            try await fixture.expect(WatchedChange(hasConfiguration: true)) {
                try fixture.write("functions/a/.A.swift.swp")
                try fixture.write("functions/a/A.swift~")
                try fixture.write("functions/a/4913")
                try fixture.write("functions/notes.txt")
                try fixture.write("other.json")
                try fixture.write("config.json")
            }
        }
    }

    @Test func `folders that come, are renamed and go are seen, and so is what is saved in them`() async throws {
        try await watching { fixture in
            let files = FileManager.default
            try await fixture.expect(WatchedChange(functions: ["b"])) {
                try files.createDirectory(at: fixture.url("functions/b"), withIntermediateDirectories: false)
            }
            try await fixture.expect(WatchedChange(functions: ["b"])) { try fixture.write("functions/b/B.swift") }
            try await fixture.expect(WatchedChange(functions: ["b", "c"])) {
                try fixture.rename("functions/b", "functions/c")
            }
            try await fixture.expect(WatchedChange(functions: ["c"])) { try fixture.write("functions/c/B.swift") }
            try await fixture.expect(WatchedChange(functions: ["c"])) {
                try files.removeItem(at: fixture.url("functions/c"))
            }
        }
    }

    @Test func `a folder that is replaced, or missing for a time, is watched anew`() async throws {
        try await watching { fixture in
            let files = FileManager.default
            let whole = WatchedChange(isWhole: true)
            try await fixture.expect(whole) { try fixture.rename("functions", "away") }
            try await fixture.expect(whole) {
                try files.createDirectory(at: fixture.url("functions/n"), withIntermediateDirectories: true)
            }
            try await fixture.expect(WatchedChange(functions: ["n"])) { try fixture.write("functions/n/N.swift") }
            try await fixture.expect(whole) {
                try fixture.rename("functions", "gone")
                try files.createSymbolicLink(at: fixture.url("functions"), withDestinationURL: fixture.url("away"))
            }
            try await fixture.expect(WatchedChange(functions: ["a"])) { try fixture.write("away/a/A.swift") }
        }
    }
}
