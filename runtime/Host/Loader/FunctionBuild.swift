internal import NIOCore

/// Builds functions without opening them: `ferry build`.
public struct FunctionBuild: Sendable {
    /// What became of one function.
    public struct Outcome: Sendable {
        /// The function's name.
        public let function: String
        /// The path of its module, or `nil` when it has problems.
        public let module: String?
        /// Whether the module was compiled just now; otherwise it was there.
        public let isNew: Bool
        /// What the compiler warned of.
        public let warnings: [FileProblem]
        /// Why there is no module.
        public let problems: [FunctionProblem]
    }

    /// Builds all functions of a folder, or those named, as many at once as there are cores.
    ///
    /// A module that is there but was built for another host is built anew.
    ///
    /// - Parameters:
    ///   - folder: The folder of functions.
    ///   - only: The names of those to build, or `nil` for all.
    ///   - dataFolder: The folder that holds compiled modules.
    ///   - sdk: The SDK that functions are compiled against; by default this process's own.
    /// - Returns: The outcomes, sorted by name.
    /// - Throws: As ``FunctionRegistry/load(folder:only:dataFolder:sdk:logger:)``.
    /// - Cancellation: ends running compilers; what was built stays.
    public static func run(
        folder: String, only: [String]? = nil, dataFolder: String, sdk: FunctionSDK? = nil
    ) async throws -> [Outcome] {
        try await BlockingThreads.with(System.coreCount) { threads in
            let (catalog, entries, loader) = try await threads.run { _ in
                let catalog = try FunctionCatalog.read(folder)
                let entries = try catalog.entries(only: only)
                return (catalog, entries, try FunctionLoader(dataFolder: dataFolder, sdk: sdk))
            }
            let results = await threads.map(entries) { entry, cancellation in
                try loader.compiler.build(entry, isChecked: true, cancellation: cancellation)
            }
            try Task.checkCancellation()
            var outcomes = zip(entries, results).map { entry, result in
                switch result {
                case .success(let module):
                    Outcome(
                        function: entry.name, module: module.path, isNew: module.isNew, warnings: module.warnings,
                        problems: [])
                case .failure(let error):
                    Outcome(
                        function: entry.name, module: nil, isNew: false, warnings: [],
                        problems: FunctionLoader.problems(error, of: entry))
                }
            }
            let broken = Dictionary(
                grouping: catalog.problems.filter { only?.contains($0.function) ?? true }, by: \.function)
            outcomes += broken.map {
                Outcome(function: $0.key, module: nil, isNew: false, warnings: [], problems: $0.value)
            }
            return outcomes.sorted { $0.function < $1.function }
        }
    }
}
