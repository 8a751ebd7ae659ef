/// Builds and opens single functions against one SDK and one data folder. Everything here blocks.
struct FunctionLoader: Sendable {
    let compiler: ModuleCompiler
    private let loader: ModuleLoader
    private let opened: OpenedModules

    /// Prepares for building and opening.
    ///
    /// - Parameters:
    ///   - dataFolder: The folder that holds compiled modules.
    ///   - sdk: The SDK; by default this process's own.
    ///   - isQuick: Whether modules are compiled without optimisation.
    ///   - opened: The modules that this process has opened before.
    ///   - locateCompiler: Finds `swiftc`; by default ``ModuleCompiler/locate()``.
    /// - Throws: ``LoaderError`` with code `.sdk` or `.system`.
    init(
        dataFolder: String, sdk: FunctionSDK? = nil, isQuick: Bool = false, opened: OpenedModules = OpenedModules(),
        locateCompiler: @escaping @Sendable () -> String? = { ModuleCompiler.locate() }
    ) throws(LoaderError) {
        let sdk = if let sdk { sdk } else { try FunctionSDK.locate() }
        let identity = try BuildIdentity.of(sdk, dataFolder: dataFolder)
        compiler = ModuleCompiler(
            sdk: sdk, identity: identity, dataFolder: dataFolder, isQuick: isQuick, locateCompiler: locateCompiler)
        self.opened = opened
        loader = ModuleLoader(identity: identity)
    }

    /// Builds a function where needed, opens it unless that was done before, and takes its handler over.
    ///
    /// - Throws: As ``ModuleCompiler/build(_:isChecked:cancellation:)``, and ``FileProblem`` of the module.
    func load(_ entry: FunctionCatalog.Entry, cancellation: Cancellation) throws -> LoadedFunction {
        let path = compiler.path(entry)
        if let handler = opened[path] {
            return LoadedFunction(name: entry.name, manifest: entry.manifest, handler: handler, module: path)
        }
        let module = try compiler.build(entry, isChecked: false, cancellation: cancellation)
        let function = try loader.load(module.path, for: entry)
        opened[path] = function.handler
        return function
    }

    /// The problems behind an error of building or opening a function.
    static func problems(_ error: any Error, of entry: FunctionCatalog.Entry) -> [FunctionProblem] {
        let problems =
            switch error {
            case let error as FileProblems: error.problems
            case let error as FileProblem: [error]
            default: [FileProblem(file: entry.source.folder, reason: "\(error)")]
            }
        return problems.map { FunctionProblem(function: entry.name, problem: $0) }
    }
}
