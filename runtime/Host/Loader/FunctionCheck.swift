/// Checks functions as far as that goes without a compiler: `ferry validate`.
public struct FunctionCheck: Sendable {
    /// How many functions were found, right or wrong.
    public let count: Int
    /// What is wrong with them: folders, manifests, routes, handlers; sorted.
    public let problems: [FunctionProblem]

    /// Checks all functions of a folder.
    ///
    /// - Throws: ``LoaderError`` with code `.functionsFolder` when the folder cannot be read.
    public static func run(folder: String) async throws -> FunctionCheck {
        try await BlockingThreads.with(1) { threads in
            try await threads.run { _ in
                let catalog = try FunctionCatalog.read(folder)
                let handlers = catalog.entries.compactMap { entry in
                    HandlerFinder.problem(of: entry).map { FunctionProblem(function: entry.name, problem: $0) }
                }
                return FunctionCheck(count: catalog.names.count, problems: (catalog.problems + handlers).sorted())
            }
        }
    }
}
