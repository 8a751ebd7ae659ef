internal import FunctionKit
internal import NIOCore

/// The functions of a folder, compiled and not opened: what a supervisor knows of them.
public struct BuiltFunctions: Sendable {
    /// A function with its module.
    public struct Function: Sendable {
        /// The name: the folder's.
        public let name: String
        /// What its `function.json` says.
        public let manifest: FunctionManifest
        /// The path of its module.
        public let module: String
    }

    /// The functions that have a module, sorted by name.
    public let functions: [Function]
    /// Why others have none, sorted.
    public let problems: [FunctionProblem]
    /// The manifests of every function of the folder whose manifest is right.
    public let manifests: [String: FunctionManifest]

    /// Reads all manifests of a folder and builds what is not built.
    ///
    /// - Parameters:
    ///   - folder: The folder of functions.
    ///   - only: The names of those to build, or `nil` for all.
    ///   - dataFolder: The folder that holds compiled modules.
    /// - Returns: The functions and the problems.
    /// - Throws: As ``FunctionRegistry/load(folder:only:dataFolder:sdk:logger:)``.
    /// - Cancellation: ends running compilers; what was built stays.
    public static func build(folder: String, only: [String]?, dataFolder: String) async throws -> BuiltFunctions {
        try await BlockingThreads.with(System.coreCount) { threads in
            let (catalog, entries, loader) = try await threads.run { _ in
                let catalog = try FunctionCatalog.read(folder)
                return (catalog, try catalog.entries(only: only), try FunctionLoader(dataFolder: dataFolder))
            }
            let results = await threads.map(entries) { entry, cancellation in
                try loader.compiler.build(entry, isChecked: true, cancellation: cancellation)
            }
            try Task.checkCancellation()
            var functions: [Function] = []
            var problems = catalog.problems.filter { only?.contains($0.function) ?? true }
            for (entry, result) in zip(entries, results) {
                switch result {
                case .success(let module):
                    functions.append(Function(name: entry.name, manifest: entry.manifest, module: module.path))
                case .failure(let error): problems += FunctionLoader.problems(error, of: entry)
                }
            }
            return BuiltFunctions(functions: functions, problems: problems.sorted(), manifests: catalog.manifests)
        }
    }
}

extension FunctionRegistry {
    /// Opens one function's module, which its supervisor has built, and reads the manifests of all.
    ///
    /// - Parameters:
    ///   - function: The function's name.
    ///   - module: The path of its module.
    ///   - folder: The folder of functions.
    ///   - dataFolder: The folder that holds compiled modules.
    /// - Returns: A registry of one function; nothing is compiled.
    /// - Throws: ``LoaderError``, ``FileProblem`` or ``FunctionProblem``: the function is not there or cannot be opened.
    public static func open(
        _ function: String, module: String, folder: String, dataFolder: String
    ) async throws -> FunctionRegistry {
        try await BlockingThreads.with(1) { threads in
            try await threads.run { _ in
                let catalog = try FunctionCatalog.read(folder)
                guard let entry = try catalog.entries(only: [function]).first else {
                    throw catalog.problems.first { $0.function == function }
                        ?? LoaderError(.unknownFunction, "there is no function \"\(function)\"")
                }
                let identity = try BuildIdentity.of(try FunctionSDK.locate(), dataFolder: dataFolder)
                let loaded = try ModuleLoader(identity: identity).load(module, for: entry)
                return FunctionRegistry(functions: [loaded], problems: [], manifests: catalog.manifests)
            }
        }
    }
}
