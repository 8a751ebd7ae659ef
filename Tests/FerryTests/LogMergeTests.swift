import Foundation
import Testing

@testable import ferry

/// Reading what hosts have logged, by files that the test writes and rotates itself.
@Suite struct LogMergeTests {
    private let folder: String

    init() throws {
        folder = NSTemporaryDirectory() + "ferry-logs-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    private func append(_ name: String, _ texts: [String], _ end: String = "\n") throws {
        let path = "\(folder)/\(name).jsonl"
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data((texts.joined(separator: "\n") + end).utf8))
        try handle.close()
    }

    private func line(_ second: Int, _ message: String) -> String {
        #"{"time":"2026-01-01T00:00:0\#(second).000Z","level":"info","message":"\#(message)"}"#
    }

    private func rotate(_ name: String) throws {
        let older = "\(folder)/\(name).1.jsonl"
        if FileManager.default.fileExists(atPath: older) { try FileManager.default.removeItem(atPath: older) }
        try FileManager.default.moveItem(atPath: "\(folder)/\(name).jsonl", toPath: older)
    }

    private func read(_ merge: LogMerge) -> [String] {
        var found: [String] = []
        merge.read { found.append($0.line(.errors).split(separator: " ").last.map(String.init) ?? "") }
        return found
    }

    @Test func `processes' lines come by time, and each once`() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try append("1-1", [line(1, "a"), "no line of the log", line(4, "d")])
        try append("2-2", [line(2, "b"), line(3, "c")])
        let merge = LogMerge(folder)
        #expect(read(merge) == ["a", "b", "c", "d"])
        #expect(read(merge) == [])
        try append("1-1", [line(5, "e")], "")
        #expect(read(merge) == [], "the line has no end yet")
        try append("1-1", [""])
        try append("3-3", [line(6, "f")])
        #expect(read(merge) == ["e", "f"])
    }

    @Test func `no line is lost or told twice over rotations`() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let merge = LogMerge(folder)
        try append("1-1", [line(1, "a")])
        #expect(read(merge) == ["a"])
        try append("1-1", [line(2, "b")])
        try rotate("1-1")
        try append("1-1", [line(3, "c")])
        #expect(read(merge) == ["b", "c"])
        // Twice between two looks: the file that was never seen is the older one by then.
        try append("1-1", [line(4, "d")])
        try rotate("1-1")
        try append("1-1", [line(5, "e")])
        try rotate("1-1")
        try append("1-1", [line(6, "f")])
        #expect(read(merge) == ["d", "e", "f"])
        try rotate("1-1")
        #expect(read(merge) == [])
        try append("1-1", [line(7, "g")])
        #expect(read(merge) == ["g"])
        #expect(read(LogMerge(folder)) == ["f", "g"])
    }
}
