/// A function's folder as it was read: manifest and Swift files, with their contents.
public struct FunctionSource: Sendable {
    /// One Swift file.
    public struct File: Sendable, Hashable {
        /// Its path.
        public let path: String
        /// Its contents.
        public let bytes: [UInt8]
    }

    /// The name: the folder's.
    public let name: String
    /// The folder's path.
    public let folder: String
    /// The path of its `function.json`.
    public let manifestFile: String
    /// The contents of its `function.json`.
    public let manifestBytes: [UInt8]
    /// Its Swift files, sorted by name.
    public let files: [File]
    /// The schemas that its manifest may name.
    public let schemas: SchemaFiles

    /// A part of the manifest that is to blame for a problem that only the sources show.
    enum Blamed {
        case trigger
        case handler
    }

    /// A problem of the manifest, with the place of the part to blame.
    func problem(_ reason: String, at blamed: Blamed) -> FileProblem {
        let json = try? PositionedJSON.parse(manifestBytes)
        let trigger = ManifestDecoder.triggers.lazy.compactMap { json?[$0]?.position }.first
        let position =
            switch blamed {
            case .trigger: trigger
            case .handler: json?["handler"]?.position ?? trigger
            }
        return FileProblem(file: manifestFile, line: position?.line, column: position?.column, reason: reason)
    }
}
