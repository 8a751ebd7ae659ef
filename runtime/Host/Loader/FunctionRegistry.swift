internal import FunctionKit
public import Logging
internal import NIOCore

/// The functions of this process, with the manifests of all others: a value, made at start and passed down.
public struct FunctionRegistry: Sendable {
    /// How functions are loaded.
    public struct Options: Sendable {
        /// Whether modules are compiled without optimisation, in half of the time; they are kept apart from the others.
        public var isQuick = false
        /// The modules that this process has opened before: they are taken over and not opened again.
        public var opened = OpenedModules()
        /// Whether functions that were asked for by name may be missing by now.
        public var mayLackNamed = false

        /// Makes options with the defaults.
        public init() {}
    }

    /// The functions that can be called, sorted by name.
    public let functions: [LoadedFunction]
    /// Why others cannot, sorted by name and place.
    public let problems: [FunctionProblem]
    /// The manifests of every function of the folder whose manifest is right, loaded here or not.
    public let manifests: [String: FunctionManifest]
    private let folder: String

    /// Makes a registry; tests may with functions of their own.
    public init(
        functions: [LoadedFunction], problems: [FunctionProblem] = [], manifests: [String: FunctionManifest]? = nil,
        folder: String = "functions"
    ) {
        self.folder = folder
        self.functions = functions.sorted { $0.name < $1.name }
        self.problems = problems.sorted()
        self.manifests =
            manifests ?? Dictionary(functions.map { ($0.name, $0.manifest) }, uniquingKeysWith: { first, _ in first })
    }

    /// The registry without a function whose trigger cannot be made.
    public func refusing(_ refusal: Deployment.Refusal) -> FunctionRegistry {
        let problem = FileProblem(file: manifestFile(of: refusal.function), reason: "\(refusal.reason)")
        return FunctionRegistry(
            functions: functions.filter { $0.name != refusal.function },
            problems: problems + [FunctionProblem(function: refusal.function, problem: problem)],
            manifests: manifests.filter { $0.key != refusal.function }, folder: folder)
    }

    /// The path of a function's manifest.
    func manifestFile(of function: String) -> String { "\(folder)/\(function)/function.json" }

    /// Reads all manifests of a folder, builds what is not built, and opens the modules.
    ///
    /// A function that cannot be served is in ``problems`` and keeps none of the others from being served.
    ///
    /// - Parameters:
    ///   - folder: The folder of functions.
    ///   - only: The names of those to load, or `nil` for all.
    ///   - dataFolder: The folder that holds compiled modules.
    ///   - sdk: The SDK that functions are compiled against; by default this process's own.
    ///   - options: How they are loaded.
    ///   - logger: Told of each function at debug level.
    /// - Returns: The registry.
    /// - Throws: ``LoaderError``: the folder cannot be read, a name in `only` is no function, or there is no SDK.
    /// - Cancellation: ends running compilers; what was built stays.
    public static func load(
        folder: String, only: [String]? = nil, dataFolder: String, sdk: FunctionSDK? = nil,
        options: Options = Options(), logger: Logger
    ) async throws -> FunctionRegistry {
        try await BlockingThreads.with(System.coreCount) { threads in
            let (catalog, entries, loader) = try await threads.run { _ in
                let catalog = try FunctionCatalog.read(folder)
                let names = options.mayLackNamed ? only?.filter(catalog.names.contains) : only
                let loader = try FunctionLoader(
                    dataFolder: dataFolder, sdk: sdk, isQuick: options.isQuick, opened: options.opened)
                return (catalog, try catalog.entries(only: names), loader)
            }
            let results = await threads.map(entries) { entry, cancellation in
                let start = ContinuousClock.now
                let function = try loader.load(entry, cancellation: cancellation)
                logger.debug(
                    "function loaded",
                    metadata: ["function": "\(entry.name)", "took": "\(ContinuousClock.now - start)"])
                return function
            }
            try Task.checkCancellation()
            var functions: [LoadedFunction] = []
            var problems = catalog.problems.filter { only?.contains($0.function) ?? true }
            for (entry, result) in zip(entries, results) {
                switch result {
                case .success(let function): functions.append(function)
                case .failure(let error): problems += FunctionLoader.problems(error, of: entry)
                }
            }
            return FunctionRegistry(
                functions: functions, problems: problems, manifests: catalog.manifests, folder: folder)
        }
    }
}
