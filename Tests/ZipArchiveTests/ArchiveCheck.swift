import Foundation
import NIOCore
import Testing

/// Runs the readers of `Fixtures/check_archive.py` over an archive.
///
/// Python is `python3` on the path, or what `FERRY_PYTHON` names; it needs the packages of `Tests/requirements.txt`.
enum ArchiveCheck {
    static func verify(
        _ archive: ByteBuffer, _ members: [(name: String, contents: ByteBuffer)],
        location: SourceLocation = #_sourceLocation
    ) async throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("archive.zip")
        try Data(archive.readableBytesView).write(to: path)
        for (index, member) in members.enumerated() {
            try Data(member.contents.readableBytesView).write(to: folder.appendingPathComponent("\(index)"))
        }
        try JSONEncoder().encode(members.map(\.name)).write(to: folder.appendingPathComponent("names.json"))
        let output = try await python([script.path, path.path, folder.path], location: location)
        #expect(output == "ok\n", sourceLocation: location)
    }

    static func temporaryFolder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ferry-zip-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    static var script: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures/check_archive.py")
    }

    @discardableResult
    static func python(
        _ arguments: [String], location: SourceLocation = #_sourceLocation
    ) async throws -> String {
        let interpreter = ProcessInfo.processInfo.environment["FERRY_PYTHON"] ?? "python3"
        return try await run([interpreter] + arguments, location: location)
    }

    /// Runs a command for at most a minute and gives what it printed.
    @discardableResult
    static func run(_ command: [String], location: SourceLocation = #_sourceLocation) async throws -> String {
        let output = FileManager.default.temporaryDirectory.appendingPathComponent("ferry-out-\(UUID().uuidString)")
        try Data().write(to: output)
        defer { try? FileManager.default.removeItem(at: output) }
        let handle = try FileHandle(forWritingTo: output)
        defer { try? handle.close() }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["timeout", "60"] + command
        process.standardOutput = handle
        process.standardError = handle
        process.standardInput = FileHandle.nullDevice
        let status: Int32 = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        let text = String(decoding: try Data(contentsOf: output), as: UTF8.self)
        #expect(status == 0, "\(command.prefix(2)): \(text)", sourceLocation: location)
        return text
    }
}
