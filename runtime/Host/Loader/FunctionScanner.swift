/// Finds the functions of a folder: its sub-folders with a `function.json` and Swift files.
///
/// Nothing below a function's folder is looked at, so fixtures and notes may lie there. The folder `schemas` has JSON Schemas
/// that functions share; it is no function.
public struct FunctionScanner: Sendable {
    /// What was found.
    public struct Result: Sendable {
        /// The functions, sorted by name.
        public var sources: [FunctionSource] = []
        /// Folders that look like functions but are none.
        public var problems: [FunctionProblem] = []
    }

    /// The largest manifest or source that is read, in bytes.
    private static let fileLimit = 4 << 20

    /// Makes a scanner.
    public init() {}

    /// Reads the functions of a folder. Blocks on the file system.
    ///
    /// - Parameter folder: The folder of functions, such as `functions`.
    /// - Returns: The functions and what hinders others.
    /// - Throws: ``LoaderError`` with code `.functionsFolder` when the folder cannot be read.
    public func scan(_ folder: String) throws -> Result {
        let names: [String]
        do {
            names = try FileSystem.names(in: folder)
        } catch {
            throw LoaderError(
                .functionsFolder, "\(error.message). Name the folder of your functions with --functions DIR.")
        }
        var result = Result()
        var shared: [String: [UInt8]] = [:]
        do {
            shared = try schemas(in: "\(folder)/\(SchemaFiles.sharedFolder)")
        } catch {
            let problem = FileProblem(file: "\(folder)/\(SchemaFiles.sharedFolder)", reason: "\(error)")
            result.problems.append(FunctionProblem(function: SchemaFiles.sharedFolder, problem: problem))
        }
        for name in names where !name.hasPrefix(".") {
            if let reason = FileSystem.unreachable("\(folder)/\(name)") {
                let problem = FileProblem(file: "\(folder)/\(name)", reason: reason)
                result.problems.append(FunctionProblem(function: name, problem: problem))
                continue
            }
            guard FileSystem.isFolder("\(folder)/\(name)") else { continue }
            do {
                if let source = try source(name, in: "\(folder)/\(name)", shared) { result.sources.append(source) }
            } catch let problem as FileProblem {
                result.problems.append(FunctionProblem(function: name, problem: problem))
            } catch {
                let problem = FileProblem(file: "\(folder)/\(name)", reason: "\(error)")
                result.problems.append(FunctionProblem(function: name, problem: problem))
            }
        }
        return result
    }

    /// The schemas of a folder by name.
    private func schemas(in folder: String) throws -> [String: [UInt8]] {
        guard FileSystem.isFolder(folder) else { return [:] }
        var schemas: [String: [UInt8]] = [:]
        for name in try FileSystem.names(in: folder) where name.hasSuffix(SchemaFiles.suffix) && !name.hasPrefix(".") {
            schemas[name] = try FileSystem.read("\(folder)/\(name)", limit: SchemaFiles.fileLimit)
        }
        return schemas
    }

    private func source(_ name: String, in folder: String, _ shared: [String: [UInt8]]) throws -> FunctionSource? {
        let names = try FileSystem.names(in: folder)
        let swiftNames = names.filter { $0.hasSuffix(".swift") && !$0.hasPrefix(".") }
        guard names.contains("function.json") else {
            if swiftNames.isEmpty { return nil }
            throw FileProblem(file: folder, reason: "has Swift files but no function.json, which says what calls it")
        }
        guard Self.isName(name) else {
            throw FileProblem(
                file: folder,
                reason: "\"\(name)\" is no name for a function; use lower-case letters, digits and hyphens, at most 64")
        }
        guard !swiftNames.isEmpty else {
            throw FileProblem(file: "\(folder)/function.json", reason: "there is no Swift file beside it")
        }
        return FunctionSource(
            name: name, folder: folder, manifestFile: "\(folder)/function.json",
            manifestBytes: try FileSystem.read("\(folder)/function.json", limit: Self.fileLimit),
            files: try swiftNames.map {
                FunctionSource.File(
                    path: "\(folder)/\($0)", bytes: try FileSystem.read("\(folder)/\($0)", limit: Self.fileLimit))
            },
            schemas: SchemaFiles(function: name, folder: folder, own: try schemas(in: folder), shared: shared))
    }

    /// Whether a folder's name can be a function's: `[a-z0-9][a-z0-9-]*`.
    static func isName(_ name: String) -> Bool {
        name.utf8.count <= 64 && name.first != "-" && !name.isEmpty
            && name.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "-")
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            }
    }
}
