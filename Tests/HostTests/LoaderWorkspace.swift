import FunctionKit
import Glibc
import Logging
import NIOCore
import Testing

@testable import Host

/// A fresh folder with functions and data, removed at the end; the compiler's cache is shared by all tests.
final class LoaderWorkspace: Sendable {
    let root: String
    let sdk: FunctionSDK

    var functions: String { "\(root)/functions" }
    var data: String { "\(root)/data" }
    var modules: [String] { ((try? FileSystem.names(in: "\(data)/modules")) ?? []).filter { $0.hasSuffix(".so") } }

    init() throws {
        root = "\(FileSystem.environment("TMPDIR") ?? "/tmp")/ferry-loader-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        try FileSystem.makeFolder("\(root)/functions")
        try FileSystem.makeFolder("\(root)/data")
        // Beside the test executable, or where FERRY_SDK says.
        sdk = try FunctionSDK.locate()
        try FileSystem.makeFolder("/tmp/ferry-module-cache-\(getuid())")
        symlink("/tmp/ferry-module-cache-\(getuid())", "\(root)/data/module-cache")
    }

    deinit { FileSystem.remove(root) }

    func write(_ text: String, to path: String) throws {
        let file = "\(functions)/\(path)"
        try FileSystem.makeFolder(file.parentFolder)
        try FileSystem.write(Array(text.utf8), to: file)
    }

    func add(_ name: String, _ manifest: String, _ source: String) throws {
        try write(manifest, to: "\(name)/function.json")
        try write(source, to: "\(name)/\(name).swift")
    }

    func entry(_ name: String) throws -> FunctionCatalog.Entry {
        try #require(try FunctionCatalog.read(functions).entries.first { $0.name == name })
    }

    func compiler(_ path: String? = ModuleCompiler.locate()) throws -> ModuleCompiler {
        try FunctionLoader(dataFolder: data, sdk: sdk, locateCompiler: { path }).compiler
    }

    func load(only: [String]? = nil) async throws -> FunctionRegistry {
        try await FunctionRegistry.load(
            folder: functions, only: only, dataFolder: data, sdk: sdk, logger: Logger(label: "test"))
    }

    /// The problems as text, with the workspace's path taken out.
    func texts(_ problems: [FunctionProblem]) -> [String] {
        problems.map { $0.description.replacing(functions + "/", with: "").replacing(root + "/", with: "") }
    }

    static let context = Context(
        logger: Logger(label: "test"), function: "test", requestID: "r", deadline: .now + .seconds(60),
        bindings: Bindings())

    static let hello = """
        import FunctionKit

        struct Hello: HTTPFunction {
            func handle(_ request: Request, _ context: Context) async throws -> Response {
                .text("Hello, \\(request.parameter("name") ?? "world")!")
            }
        }
        """
}
