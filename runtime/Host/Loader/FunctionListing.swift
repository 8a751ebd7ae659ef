/// What is known of each function without building or opening any: `ferry list`.
public struct FunctionListing: Sendable {
    /// How far a function is from being served.
    public enum State: String, Sendable, Codable {
        /// Its module is there, for these sources and this host.
        case built
        /// Its module is of other sources or another host.
        case stale
        /// It has no module.
        case notBuilt = "not built"
        /// Its manifest or its folder is wrong.
        case error
    }

    /// One function.
    public struct Item: Sendable {
        /// The function's name.
        public let name: String
        /// Its manifest, or `nil` when that is wrong.
        public let manifest: FunctionManifest?
        /// How far it is.
        public let state: State
        /// What is wrong with it.
        public let problems: [FunctionProblem]
    }

    /// Lists the functions of a folder, sorted by name.
    ///
    /// - Parameters:
    ///   - folder: The folder of functions.
    ///   - dataFolder: The folder that holds compiled modules.
    ///   - sdk: The SDK that functions are compiled against; by default this process's own.
    /// - Returns: The functions.
    /// - Throws: ``LoaderError``: the folder cannot be read, or there is no SDK.
    public static func list(folder: String, dataFolder: String, sdk: FunctionSDK? = nil) async throws -> [Item] {
        try await BlockingThreads.with(1) { threads in
            try await threads.run { _ in
                let catalog = try FunctionCatalog.read(folder)
                let compiler = try FunctionLoader(dataFolder: dataFolder, sdk: sdk).compiler
                var items = catalog.entries.map { entry in
                    let state: State =
                        if compiler.isBuilt(entry) {
                            .built
                        } else {
                            compiler.store.modules(of: entry.name).isEmpty ? .notBuilt : .stale
                        }
                    return Item(name: entry.name, manifest: entry.manifest, state: state, problems: [])
                }
                items += Dictionary(grouping: catalog.problems, by: \.function).map {
                    Item(name: $0.key, manifest: nil, state: .error, problems: $0.value)
                }
                return items.sorted { $0.name < $1.name }
            }
        }
    }
}
