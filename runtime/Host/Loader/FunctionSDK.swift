internal import Glibc

/// The modules that functions are compiled against: those this very host was linked from.
///
/// Two layouts are known, both found from where the executable lies:
/// - a build folder of SwiftPM (`.build/release/ferry`): `Modules/` beside it, C module maps in `<name>.build/`, headers in
///   the checkouts of the dependencies;
/// - an installed prefix (`PREFIX/bin/ferry`): `PREFIX/lib/ferry/Modules/` and `PREFIX/lib/ferry/include/<name>/`.
///
/// The environment variable `FERRY_SDK` names another folder of either layout.
public struct FunctionSDK: Sendable, Hashable {
    /// The modules that a function may import, besides those of the toolchain.
    public static let importable: Set<String> = ["FunctionKit", "Downloads", "NIOCore", "Logging", "HTTPTypes"]

    /// What the importable modules are made of; the compiler reads these too.
    static let supporting: Set<String> = [
        "Atomics", "Checksum", "ContainersPreview", "DequeModule", "InternalCollectionsUtilities",
        "NIOConcurrencyHelpers", "ZipArchive", "_NIOBase64", "_NIODataStructures",
    ]

    /// The C modules below them.
    static let cModules = ["CNIOAtomics", "CNIOLinux", "_AtomicsShims"]

    /// The system libraries that only the implementation of the modules uses. The compiler wants to know them by name, no
    /// more; so they are declared empty, and functions compile where their headers are not installed.
    static let systemModules = ["CDeflate"]

    /// The folder that holds `Modules`.
    public let root: String
    /// The module map of each C module.
    let moduleMaps: [String]

    /// The folder of the `.swiftmodule` files.
    var modulesFolder: String { "\(root)/Modules" }

    /// The `.swiftmodule` files of the SDK, sorted.
    var moduleFiles: [String] {
        Self.importable.union(Self.supporting).sorted()
            .map { "\(modulesFolder)/\($0).swiftmodule" }
            .filter(FileSystem.isFile)
    }

    /// Finds the SDK of this process.
    ///
    /// - Returns: The SDK that `FERRY_SDK` names, else the one beside the executable, else that of its prefix.
    /// - Throws: ``LoaderError`` with code `.sdk`, which names the places looked at.
    public static func locate() throws(LoaderError) -> FunctionSDK {
        if let folder = FileSystem.environment("FERRY_SDK") { return try FunctionSDK(at: folder) }
        let executable = FileSystem.resolved("/proc/self/exe") ?? ""
        let folder = executable.parentFolder
        let installed = "\(folder.parentFolder)/lib/ferry"
        for candidate in [folder, installed] where FileSystem.isFile("\(candidate)/Modules/FunctionKit.swiftmodule") {
            return try FunctionSDK(at: candidate)
        }
        throw LoaderError(
            .sdk,
            """
            the modules that functions are compiled against are neither in \(folder)/Modules nor in \
            \(installed)/Modules; build Ferry with \"make build\", install it with \"make install\", or name their \
            folder in FERRY_SDK
            """)
    }

    /// Opens the SDK in a folder of either layout.
    ///
    /// - Throws: ``LoaderError`` with code `.sdk` when something is missing there.
    public init(at folder: String) throws(LoaderError) {
        guard let root = FileSystem.resolved(folder), FileSystem.isFile("\(root)/Modules/FunctionKit.swiftmodule")
        else {
            throw LoaderError(
                .sdk, "there is no SDK in \(folder): \(folder)/Modules/FunctionKit.swiftmodule is missing")
        }
        var moduleMaps: [String] = []
        for name in Self.cModules {
            let candidates = [
                "\(root)/include/\(name)/module.modulemap", "\(root)/\(name).build/module.modulemap",
                Self.headers(of: name, root: root).map { "\($0)/module.modulemap" },
            ]
            guard let map = candidates.compactMap({ $0 }).first(where: FileSystem.isFile) else {
                throw LoaderError(.sdk, "the SDK in \(root) lacks the module map of \(name)")
            }
            moduleMaps.append(map)
        }
        self.root = root
        self.moduleMaps = moduleMaps
    }

    /// The folder of a C module's headers: in the SDK itself, or in the checkouts beside a build folder.
    private static func headers(of name: String, root: String) -> String? {
        let installed = "\(root)/include/\(name)"
        if FileSystem.isFolder(installed) { return installed }
        // `.build/<platform>/<configuration>` is two folders below the one that holds the checkouts.
        let checkouts = "\(root.parentFolder.parentFolder)/checkouts"
        guard let packages = try? FileSystem.names(in: checkouts) else { return nil }
        return packages.map { "\(checkouts)/\($0)/Sources/\(name)/include" }.first(where: FileSystem.isFolder)
    }

    /// Copies the SDK to a folder in the installed layout, which needs neither checkout nor build folder.
    ///
    /// - Parameter folder: The folder that is to hold `Modules` and `include`; what lies there is replaced.
    /// - Throws: ``LoaderError`` with code `.sdk` when headers are missing, `.system` when a file cannot be written.
    public func copy(to folder: String) throws(LoaderError) {
        try FileSystem.makeFolder("\(folder)/Modules")
        for file in moduleFiles {
            try FileSystem.write(
                try FileSystem.read(file, limit: 256 << 20), to: "\(folder)/Modules/\(file.lastPathComponent)")
        }
        for name in Self.cModules {
            guard let headers = Self.headers(of: name, root: root) else {
                throw LoaderError(.sdk, "the headers of \(name) are not beside \(root)")
            }
            let target = "\(folder)/include/\(name)"
            try FileSystem.makeFolder(target)
            let names = try FileSystem.names(in: headers).filter { FileSystem.isFile("\(headers)/\($0)") }
            for file in names {
                try FileSystem.write(try FileSystem.read("\(headers)/\(file)"), to: "\(target)/\(file)")
            }
            if !names.contains("module.modulemap") {
                // What SwiftPM generates, with a path relative to the map.
                let map = "module \(name) {\n    umbrella header \"\(name).h\"\n    export *\n}\n"
                try FileSystem.write(Array(map.utf8), to: "\(target)/module.modulemap")
            }
        }
    }
}
