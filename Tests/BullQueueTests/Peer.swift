import Foundation
import FunctionKit
import TestSupport
import Testing

@testable import BullQueue

/// The PyPI client in a process of its own, which does what it is told, one command after the other; see
/// Fixtures/peer.py.
///
/// Python is `python3` on the path, or what `FERRY_PYTHON` names; it needs the packages of `Tests/requirements.txt`.
final class Peer {
    private let process = Process()
    private let commands = Pipe()
    private let answers = Pipe()

    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Fixtures")

    private static func prepare(_ process: Process, _ arguments: [String]) {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.currentDirectoryURL = folder
        let python = ProcessInfo.processInfo.environment["FERRY_PYTHON"] ?? "python3"
        process.arguments = ["timeout", "120", python, "-B", "peer.py"] + arguments
    }

    /// The table of scenarios.
    static let scenarios: [String: JSONNode] = {
        let process = Process()
        let output = Pipe()
        prepare(process, ["scenarios"])
        process.standardOutput = output
        guard (try? process.run()) != nil else { return [:] }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return JSONNode(parsing: text)?.members ?? [:]
    }()

    init(_ redis: RedisServer) throws {
        Peer.prepare(process, ["serve", redis.socket])
        process.standardInput = commands
        process.standardOutput = answers
        try process.run()
    }

    /// Runs a command and gives its answer. The peer's own deadlines end it.
    @discardableResult
    func call(_ command: JSONNode...) throws -> JSONNode {
        try commands.fileHandleForWriting.write(contentsOf: Data((GoldenTests.json(.array(command)) + "\n").utf8))
        var line = Data()
        while line.last != UInt8(ascii: "\n") {
            let part = answers.fileHandleForReading.availableData
            guard !part.isEmpty else { throw NotInTime(description: "the peer has ended") }
            line += part
        }
        return JSONNode(parsing: String(decoding: line, as: UTF8.self)) ?? .null
    }

    func close() {
        try? commands.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}
