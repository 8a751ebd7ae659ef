internal import Glibc

/// What this host compiles functions with, and what it runs on: `ferry doctor`.
public struct Toolchain: Sendable {
    /// A shared library of this process.
    public struct Library: Sendable {
        /// Its usual name, such as `zlib`.
        public let name: String
        /// The file, links followed.
        public let file: String
        /// What it says of its version, or `nil` where it cannot be asked.
        public let version: String?
    }

    /// The compiler's path, or `nil` when there is none.
    public let compiler: String?
    /// What the compiler says of its version, or `nil` when it says nothing within 5 s.
    public let compilerVersion: String?
    /// The folder of the modules that functions are compiled against.
    public let sdk: String
    /// The version of the compiler that made them; only that one can use them.
    public let sdkVersion: String
    /// The libraries that Ferry does not build itself.
    public let libraries: [Library]

    /// How a library's file is called, and the function that tells its version.
    private static let known = [
        ("zlib", "libz.so", "zlibVersion"), ("libdeflate", "libdeflate.so", ""), ("hiredis", "libhiredis.so", ""),
        ("OpenSSL", "libcrypto.so", "OpenSSL_version"), ("SQLite", "libsqlite3.so", "sqlite3_libversion"),
    ]

    /// Looks at the compiler, the SDK and the libraries.
    ///
    /// - Parameter dataFolder: Where the SDK's digest is kept.
    /// - Returns: What was found.
    /// - Throws: ``LoaderError`` when there is no SDK.
    public static func inspect(dataFolder: String) async throws -> Toolchain {
        try await BlockingThreads.with(1) { threads in
            try await threads.run { cancellation in
                let sdk = try FunctionSDK.locate()
                let identity = try BuildIdentity.of(sdk, dataFolder: dataFolder)
                let compiler = ModuleCompiler.locate()
                let output = try compiler.map { path in
                    try Subprocess.run(
                        [path, "--version"], deadline: .seconds(5), outputLimit: 4096, cancellation: cancellation
                    ).output
                }
                let version = output?.split(separator: "\n").first { $0.contains("Swift version ") }
                return Toolchain(
                    compiler: compiler,
                    compilerVersion: version.flatMap { text in
                        text.firstRange(of: "Swift version ").map { String(text[$0.lowerBound...]) }
                    }, sdk: sdk.root, sdkVersion: identity.compiler, libraries: try mapped())
            }
        }
    }

    /// The libraries as they are mapped.
    private static func mapped() throws -> [Library] {
        let lines = String(decoding: try FileSystem.read("/proc/self/maps"), as: UTF8.self).split(separator: "\n")
        let files = Set(lines.compactMap { $0.split(separator: " ", maxSplits: 5).dropFirst(5).first.map(String.init) })
        return known.compactMap { name, prefix, function in
            let file = files.first { $0.lastPathComponent.hasPrefix(prefix) }.map { $0.drop { $0 == " " } }
            return file.map { file in
                Library(
                    name: name, file: FileSystem.resolved(String(file)) ?? String(file),
                    version: version(String(file), function))
            }
        }
    }

    private static func version(_ file: String, _ function: String) -> String? {
        guard !function.isEmpty, let handle = dlopen(file, RTLD_LAZY | RTLD_NOLOAD) else { return nil }
        defer { dlclose(handle) }
        guard let symbol = dlsym(handle, function) else { return nil }
        // All of them give a constant text; only OpenSSL's takes a number, and others do not look at theirs.
        typealias Version = @convention(c) (CInt) -> UnsafePointer<CChar>?
        return unsafeBitCast(symbol, to: Version.self)(0).map { String(cString: $0) }
    }
}
