internal import Glibc

/// Writes fixtures. Everything here blocks on the file system.
public enum FixtureFile {
    /// Writes a recording as a fixture of a function: without what tells when it was recorded.
    ///
    /// - Parameters:
    ///   - recording: The recording.
    ///   - path: The fixture's path; its folder is made where it is missing.
    /// - Throws: ``LoaderError`` with code `.system` when there is such a file, or when it cannot be written.
    public static func write(_ recording: PositionedJSON, to path: String) throws(LoaderError) {
        guard !FileSystem.isFile(path) else { throw LoaderError(.system, "\(path) exists already") }
        let members = (recording.members ?? []).filter { $0.key != "recorded" }
        let fixture = PositionedJSON(position: recording.position, value: .object(members))
        try FileSystem.makeFolder(path.parentFolder)
        try FileSystem.write(Array((fixture.text(isPretty: true) + "\n").utf8), to: path)
    }
}
