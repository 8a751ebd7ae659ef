/// All that is known of one function without opening its module: `ferry describe`.
public struct FunctionDetail: Sendable {
    /// The name: the folder's.
    public let name: String
    /// The path of its `function.json`.
    public let manifestFile: String
    /// The manifest, with every default filled in.
    public let manifest: FunctionManifest
    /// The keys that `function.json` has; the others' values are defaults.
    public let givenKeys: Set<String>
    /// The handler's type, or `nil` when it cannot be told.
    public let handler: String?
    /// The file that declares it.
    public let handlerFile: String?
    /// The line of its declaration.
    public let handlerLine: Int?
    /// Why the handler cannot be told.
    public let problem: FileProblem?
    /// How far the function is from being served.
    public let state: FunctionListing.State
    /// The path of the module for these sources, or `nil` when it is not built.
    public let module: String?

    /// Reads one function.
    ///
    /// - Parameters:
    ///   - name: The function's name.
    ///   - folder: The folder of functions.
    ///   - dataFolder: The folder that holds compiled modules.
    ///   - sdk: The SDK that functions are compiled against; by default this process's own.
    /// - Returns: The function.
    /// - Throws: ``LoaderError``: there is no such function, its folder or its manifest is wrong (with every problem),
    ///   the folder of functions cannot be read, or there is no SDK.
    public static func read(
        _ name: String, in folder: String, dataFolder: String, sdk: FunctionSDK? = nil
    ) async throws -> FunctionDetail {
        try await BlockingThreads.with(1) { threads in
            try await threads.run { _ in
                let entry = try entry(name, in: folder)
                let compiler = try FunctionLoader(dataFolder: dataFolder, sdk: sdk).compiler
                return FunctionDetail(entry, compiler)
            }
        }
    }

    /// The manifest of one function. Blocks on the file system.
    ///
    /// - Throws: As ``read(_:in:dataFolder:sdk:)``.
    public static func manifest(of name: String, in folder: String) throws -> FunctionManifest {
        try entry(name, in: folder).manifest
    }

    private static func entry(_ name: String, in folder: String) throws -> FunctionCatalog.Entry {
        let catalog = try FunctionCatalog.read(folder)
        if let entry = try catalog.entries(only: [name]).first { return entry }
        let reasons = catalog.problems.filter { $0.function == name }.map(\.description)
        throw LoaderError(.unknownFunction, reasons.joined(separator: "\n"))
    }

    private init(_ entry: FunctionCatalog.Entry, _ compiler: ModuleCompiler) {
        name = entry.name
        manifestFile = entry.source.manifestFile
        manifest = entry.manifest
        let json = try? PositionedJSON.parse(entry.source.manifestBytes)
        givenKeys = Set((json?.members ?? []).map(\.key))
        let finder = HandlerFinder(sources: entry.source.files.map { ($0.path, $0.bytes) })
        var (found, reason): (String?, FileProblem?) = (nil, nil)
        do {
            found = try finder.handler(for: entry.source, manifest: entry.manifest)
        } catch {
            reason = error
        }
        let declaration = found.flatMap { finder.declarations[$0] }
        (handler, problem) = (found, reason)
        (handlerFile, handlerLine) = (declaration?.file, declaration?.line)
        let isBuilt = compiler.isBuilt(entry)
        state = isBuilt ? .built : compiler.store.modules(of: entry.name).isEmpty ? .notBuilt : .stale
        module = isBuilt ? compiler.path(entry) : nil
    }
}
