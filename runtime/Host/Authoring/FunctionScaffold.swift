internal import FunctionKit

/// Makes new functions: `ferry new`.
public enum FunctionScaffold {
    /// A function to be.
    public struct Plan: Sendable {
        /// The folder's name.
        public var name: String
        /// The members of `function.json` in their order: keys and texts.
        public var members: [(key: String, value: String)]

        /// Makes a plan.
        public init(name: String, members: [(key: String, value: String)]) {
            self.name = name
            self.members = members
        }
    }

    /// What was made.
    public struct Outcome: Sendable {
        /// The function's folder.
        public let folder: String
        /// The paths of its files.
        public let files: [String]
        /// Its manifest.
        public let manifest: FunctionManifest
    }

    /// Checks a plan against the other functions and writes the function's folder, whole or not at all.
    ///
    /// - Parameters:
    ///   - plan: The function.
    ///   - folder: The folder of functions; made where it is missing.
    /// - Returns: What was made.
    /// - Throws: ``LoaderError`` with code `.newFunction` when the name or the trigger is wrong, the folder exists, or
    ///   another function has the route or the queue; with `.system` when a file cannot be written. Nothing stays behind.
    public static func make(_ plan: Plan, in folder: String) async throws -> Outcome {
        try await BlockingThreads.with(1) { threads in try await threads.run { _ in try write(plan, in: folder) } }
    }

    /// The manifest's text.
    static func manifest(_ plan: Plan) throws -> String {
        let lines = try plan.members.map { "  \(try JSON.text($0.key)): \(try JSON.text($0.value))" }
        return "{\n" + lines.joined(separator: ",\n") + "\n}\n"
    }

    private static func write(_ plan: Plan, in folder: String) throws -> Outcome {
        let name = plan.name
        guard FunctionScanner.isName(name) else {
            throw LoaderError(
                .newFunction,
                "\"\(name)\" is no name for a function; use lower-case letters, digits and hyphens, at most 64")
        }
        let target = "\(folder)/\(name)"
        let text = try manifest(plan)
        let result = ManifestDecoder().decode(Array(text.utf8), file: "function.json")
        guard let manifest = result.manifest else {
            throw LoaderError(.newFunction, result.problems.map(\.reason).joined(separator: "; "))
        }
        let template = FunctionTemplate(name: name, trigger: manifest.trigger)
        let sample = try FunctionSample(
            manifest.trigger, maxAttempts: manifest.retry.attempts, at: .now, expectation: template.expectation)
        try FileSystem.makeFolder(folder)
        guard !(try FileSystem.names(in: folder)).contains(name) else {
            throw LoaderError(.newFunction, "\(target) exists already")
        }
        if let reason = try FunctionCatalog.read(folder).conflict(manifest.trigger, of: name) {
            throw LoaderError(.newFunction, reason)
        }
        let files = [
            ("function.json", text), ("\(template.typeName).swift", template.source),
            ("fixtures/\(name).json", sample.text),
        ]
        // A name that begins with a dot is no function's, so nobody sees the folder before it is whole.
        let temporary = "\(folder)/.\(name)-\(UInt64.random(in: 0 ... .max))"
        do {
            try FileSystem.makeFolder("\(temporary)/fixtures")
            for (path, text) in files { try FileSystem.write(Array(text.utf8), to: "\(temporary)/\(path)") }
            try FileSystem.rename(temporary, to: target)
        } catch {
            FileSystem.remove(temporary)
            throw error
        }
        return Outcome(folder: target, files: files.map { "\(target)/\($0.0)" }, manifest: manifest)
    }
}
