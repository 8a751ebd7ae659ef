import Foundation
import Logging
import NIOCore
import Testing

@testable import ferry

@Suite struct LogFileTests {
    private let data = NSTemporaryDirectory() + "ferry-log-" + UUID().uuidString

    private func messages() -> [String] {
        var found: [String] = []
        LogMerge(LogFolder.path(in: data)).read { entry in
            found.append(entry.line(.errors).split(separator: " ").dropFirst(2).joined(separator: " "))
        }
        return found
    }

    @Test func `lines without room are left out, and counted`() throws {
        defer { try? FileManager.default.removeItem(atPath: data) }
        let log = LogFile(dataFolder: data, keptBytes: 1 << 20, pendingLimit: 100)
        let long = String(repeating: "x", count: 200)
        for message in [long, long, "kept"] { log.append(LogLine.json(level: "info", message: message, [:])) }
        log.close()
        log.append(LogLine.json(level: "info", message: "late", [:]))
        #expect(messages() == ["log lines were dropped count=2", "kept"])
    }

    @Test(arguments: [
        ("plain, ü 😀", "plain, ü 😀"), ("a\nb", #"a\nb"#), ("a\r\nb", #"a\u{d}\nb"#), ("\u{1B}[31m", #"\u{1b}[31m"#),
        ("\u{85}\u{2028}\u{202E}\u{7F}\t\0", #"\u{85}\u{2028}\u{202e}\u{7f}\u{9}\u{0}"#),
    ]) func `a line for people is one line and changes no terminal`(_ text: String, _ expected: String) {
        let line = LogLine.text(level: "info", message: text, ["key": "\(text)"])
        #expect(line.hasSuffix(" info \(expected) key=\(expected)"))
    }

    @Test func `a process that logs nothing makes no folder`() {
        LogFile(dataFolder: data, keptBytes: 1 << 20).close()
        #expect(!FileManager.default.fileExists(atPath: data))
    }

    @Test(arguments: [1, 7, 200]) func `a log is no larger than what is kept, however it comes`(batch: Int) throws {
        defer { try? FileManager.default.removeItem(atPath: data) }
        let folder = LogFolder.path(in: data)
        var writer = LogFileWriter(folder: folder, name: "1-1", rotationBytes: 2000)
        var lines = ByteBuffer()
        for number in 0..<200 {
            var line = LogLine.json(level: "info", message: "\(number)", ["time": "left out", "key": "value"])
            line.writeString("\n")
            lines.writeBuffer(&line)
            guard (number + 1).isMultiple(of: batch) || number == 199 else { continue }
            writer.write(Array(lines.readableBytesView))
            lines.clear()
        }
        let sizes = try FileManager.default.contentsOfDirectory(atPath: folder).map { file in
            try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(file)")).count
        }
        #expect(sizes.count == 2 && sizes.allSatisfy { $0 <= 2000 })
        let kept = messages()
        #expect(kept.last == "199 key=value" && kept.count > 10)
        #expect(kept == (200 - kept.count..<200).map { "\($0) key=value" })
    }
}
