import Foundation
import NIOCore
import Testing

/// Other people's readers: runs `check_archive.py` of the ZipArchive tests over an archive.
///
/// Python is `python3` on the path, or what `FERRY_PYTHON` names; it needs the packages of `Tests/requirements.txt`.
enum ArchiveReaders {
    static func verify(
        _ archive: ByteBuffer, _ members: [(name: String, contents: ByteBuffer)],
        location: SourceLocation = #_sourceLocation
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ferry-zip-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func write(_ data: Data, _ name: String) throws {
            try data.write(to: folder.appendingPathComponent(name))
        }
        try write(Data(archive.readableBytesView), "archive.zip")
        for (index, member) in members.enumerated() {
            try write(Data(member.contents.readableBytesView), "\(index)")
        }
        try write(try JSONEncoder().encode(members.map(\.name)), "names.json")
        try write(Data(), "output")
        let output = folder.appendingPathComponent("output")
        let handle = try FileHandle(forWritingTo: output)
        defer { try? handle.close() }
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("ZipArchiveTests/Fixtures/check_archive.py")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "timeout", "60", ProcessInfo.processInfo.environment["FERRY_PYTHON"] ?? "python3", script.path,
            folder.appendingPathComponent("archive.zip").path, folder.path,
        ]
        process.standardOutput = handle
        process.standardError = handle
        process.standardInput = FileHandle.nullDevice
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in continuation.resume() }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        let text = String(decoding: try Data(contentsOf: output), as: UTF8.self)
        #expect(text == "ok\n", sourceLocation: location)
    }
}
