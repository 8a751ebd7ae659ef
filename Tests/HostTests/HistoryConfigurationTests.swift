import Foundation
import Testing

@testable import Host

@Suite struct HistoryConfigurationTests {
    @Test func `the environment wins over the file, Ferry's own variable over the common one`() throws {
        let file = try self.file(#"{"history": {"url": "postgres://file/d", "connections": 9, "timeout": "2s"}}"#)
        defer { try? FileManager.default.removeItem(atPath: file) }
        var environment: [String: String] = [:]
        var history = try Configuration.load(file: file, environment: environment).history
        #expect(history.url?.value == "postgres://file/d")
        #expect(history.connectionCount == 9 && history.timeout == .seconds(2))
        environment["DATABASE_URL"] = "postgresql://common/d"
        history = try Configuration.load(file: file, environment: environment).history
        #expect(history.url?.value == "postgresql://common/d")
        environment["FERRY_HISTORY_URL"] = "postgresql://own/d"
        history = try Configuration.load(file: file, environment: environment).history
        #expect(history.url?.value == "postgresql://own/d")
        #expect("\(history)".contains("<redacted>") && !"\(history)".contains("own"))
    }

    @Test(arguments: [
        #"{"url": "mysql://h/d"}"#, #"{"url": "postgresql://u:p@ss@h/d"}"#, #"{"url": "postgresql://u:p/ss@h/d"}"#,
        #"{"connections": 0}"#, #"{"connections": 65}"#, #"{"timeout": "99ms"}"#, #"{"timeout": "61s"}"#,
        #"{"uri": "postgresql://h/d"}"#,
    ])
    func `what cannot be used is refused without being shown`(_ history: String) throws {
        let file = try self.file(#"{"history": \#(history)}"#)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let error = #expect(throws: Configuration.Invalid.self) {
            try Configuration.load(file: file, environment: [:])
        }
        let text = try #require(error?.description)
        #expect(text.contains("history") && !text.contains("ss@h"))
    }

    private func file(_ text: String) throws -> String {
        let path = FileManager.default.temporaryDirectory.path + "/config-\(UUID().uuidString).json"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }
}
