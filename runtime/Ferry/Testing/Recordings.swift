import FunctionKit
import Glibc
import Host

/// The recordings of a data folder: `recordings/<time>-<function>-<id>.json`.
struct Recordings {
    /// A recording's file.
    struct File {
        let path: String
        let function: String
        let id: String
        /// When it was made, as its name has it: such times sort as texts.
        let time: String
    }

    /// The length of a time in a name, `20260131T120000.000Z`, and of an id.
    private static let (timeLength, idLength) = (20, 8)

    let folder: String

    init(dataFolder: String) { folder = InvocationRecorder.folder(in: dataFolder) }

    /// All, the oldest first; none where there is no folder.
    var files: [File] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var files: [File] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let file = Self.file(name, in: folder) { files.append(file) }
        }
        return files.sorted { $0.path < $1.path }
    }

    /// The recording with an id.
    ///
    /// - Throws: ``CommandFailure`` when there is none.
    func file(id: String) throws -> String {
        guard let file = files.first(where: { $0.id == id }) else {
            throw CommandFailure(
                "there is no recording \(Terminal.plain(id)) in \(folder); \"ferry serve --record\" makes them")
        }
        return file.path
    }

    /// The recordings that are not older than a duration.
    func files(since age: Duration, of function: String?) -> [File] {
        let oldest = (Timestamp.now + (.zero - age)).rfc3339.filter { $0 != "-" && $0 != ":" }
        return files.filter { $0.time >= oldest && (function == nil || $0.function == function) }
    }

    private static func file(_ name: String, in folder: String) -> File? {
        guard name.hasSuffix(".json"), !name.hasPrefix(".") else { return nil }
        let stem = name.dropLast(5)
        guard stem.count > timeLength + idLength + 2 else { return nil }
        let function = stem.dropFirst(timeLength + 1).dropLast(idLength + 1)
        return File(
            path: "\(folder)/\(name)", function: String(function), id: String(stem.suffix(idLength)),
            time: String(stem.prefix(timeLength)))
    }
}
