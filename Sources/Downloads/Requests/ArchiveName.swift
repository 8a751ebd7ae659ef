/// The names under which archives are saved.
public enum ArchiveName {
    /// Makes a text safe as a file name on any system and in a header.
    ///
    /// - Parameter text: The name asked for.
    /// - Returns: The name without control and formatting characters, with `_` for what some file system refuses,
    ///   without spaces and dots at its ends, and ending in `.zip`; `nil` when nothing is left.
    public static func sanitised(_ text: String) -> String? {
        var name = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: continue
            default: name.append("/\\:*?\"<>|".unicodeScalars.contains(scalar) ? "_" : scalar)
            }
        }
        let isEdge = { (scalar: Unicode.Scalar) in scalar == "." || scalar.properties.isWhitespace }
        var slice = name[...]
        while let first = slice.first, isEdge(first) { slice.removeFirst() }
        while let last = slice.last, isEdge(last) { slice.removeLast() }
        guard slice.contains(where: { $0 != "_" }) else { return nil }
        let result = String(slice)
        let lowered = result.lowercased()
        return lowered.hasSuffix(".zip") ? result : "\(result).zip"
    }

    /// The name of an archive whose request gave none.
    static func standard(for id: JobID) -> String { "download-\(id.description.prefix(8)).zip" }
}
