import Glibc
import Host

/// The fixtures of functions: `functions/NAME/fixtures/*.json`.
enum Fixtures {
    /// The paths of a function's fixtures in the order of their names.
    static func all(of function: String, in functionsFolder: String) -> [String] {
        let folder = folder(of: function, in: functionsFolder)
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".json"), !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted().map { "\(folder)/\($0)" }
    }

    /// Where a function's fixtures lie.
    static func folder(of function: String, in functionsFolder: String) -> String {
        "\(functionsFolder)/\(function)/fixtures"
    }

    /// Reads a fixture, an object.
    ///
    /// - Throws: ``CommandFailure`` with the place of what is wrong.
    static func read(_ path: String) throws -> PositionedJSON { try parse(try Payload.file(path), named: path) }

    /// Reads the text of a fixture, an object.
    ///
    /// - Throws: ``CommandFailure`` with the place of what is wrong.
    static func parse(_ text: String, named source: String) throws -> PositionedJSON {
        let json: PositionedJSON
        do {
            json = try PositionedJSON.parse(Array(text.utf8))
        } catch {
            throw CommandFailure("\(source): \(error)")
        }
        guard json.members != nil else { throw CommandFailure("\(source): must be an object, not \(json.kind)") }
        return json
    }
}
