import Glibc

/// The fixtures of functions: `functions/NAME/fixtures/*.json`.
enum Fixtures {
    /// The path of a function's first fixture in the order of names; `nil` when there is none.
    static func first(of function: String, in functionsFolder: String) -> String? {
        let folder = "\(functionsFolder)/\(function)/fixtures"
        guard let directory = opendir(folder) else { return nil }
        defer { closedir(directory) }
        var first: String?
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name.hasSuffix(".json"), !name.hasPrefix(".") else { continue }
            if let known = first, known <= name { continue }
            first = name
        }
        return first.map { "\(folder)/\($0)" }
    }
}
