/// Compiles a function's Swift files and its entry to a shared library that takes everything of the SDK from the host.
///
/// The library links none of the SDK: its undefined symbols are found in the host when it is opened, so there is one copy
/// of every type. Its name holds a digest of the sources, the entry, the flags and the build id, so an unchanged function
/// is not compiled again.
struct ModuleCompiler: Sendable {
    /// A module that is there.
    struct Module {
        let path: String
        /// Whether it was compiled just now.
        let isNew: Bool
        let warnings: [FileProblem]
    }

    static let deadline = Duration.seconds(120)
    private static let outputLimit = 1 << 20

    let sdk: FunctionSDK
    let identity: BuildIdentity
    let store: ModuleStore
    private let cacheFolder: String
    private let isQuick: Bool
    /// Finds the path of `swiftc`, or `nil` where there is none; asked only when there is something to compile.
    private let locateCompiler: @Sendable () -> String?

    init(
        sdk: FunctionSDK, identity: BuildIdentity, dataFolder: String, isQuick: Bool,
        locateCompiler: @escaping @Sendable () -> String?
    ) {
        self.sdk = sdk
        self.identity = identity
        self.locateCompiler = locateCompiler
        self.isQuick = isQuick
        store = ModuleStore(dataFolder: dataFolder, isQuick: isQuick)
        cacheFolder = "\(dataFolder)/module-cache"
    }

    /// The folder in which the compiler keeps what it made of the C modules. What lies there is only good for the path it
    /// was made under, so a data folder that was moved gets another one.
    private func moduleCache() throws(LoaderError) -> String {
        try FileSystem.makeFolder(cacheFolder, isPrivate: true)
        guard let path = FileSystem.resolved(cacheFolder) else { throw FileSystem.failure("find", cacheFolder) }
        return "\(path)/\(Digest.sha256(Array(path.utf8)).prefix(4).hexadecimal)"
    }

    /// A map that declares the system libraries empty; see ``FunctionSDK/systemModules``.
    private func systemModuleMap(in cache: String) throws(LoaderError) -> String {
        let path = "\(cache)/system.modulemap"
        let text = Array(FunctionSDK.systemModules.map { "module \($0) {}\n" }.joined().utf8)
        if (try? FileSystem.read(path)) != text {
            try FileSystem.makeFolder(cache, isPrivate: true)
            try FileSystem.write(text, to: path)
        }
        return path
    }

    /// The compiler that belongs to the Swift runtime of this process, else the first in `PATH`.
    static func locate() -> String? {
        var candidates: [String] = []
        let maps = (try? FileSystem.read("/proc/self/maps")) ?? []
        let library = String(decoding: maps, as: UTF8.self).split(separator: "\n")
            .first { $0.hasSuffix("/libswiftCore.so") }?.split(separator: " ", maxSplits: 5).last
        if let library {
            // The library is <toolchain>/lib/swift/linux/libswiftCore.so.
            let toolchain = String(library).parentFolder.parentFolder.parentFolder.parentFolder
            candidates.append("\(toolchain)/bin/swiftc")
        }
        for folder in (FileSystem.environment("PATH") ?? "").split(separator: ":") {
            candidates.append("\(folder)/swiftc")
        }
        return candidates.first(where: FileSystem.isExecutable)
    }

    /// The flags that shape the code, as those of the host's own modules do.
    private var codeFlags: [String] {
        #if DEBUG
        let optimization = "-Onone"
        #else
        let optimization = isQuick ? "-Onone" : "-O"
        #endif
        return [
            optimization, "-swift-version", "6", "-enable-upcoming-feature", "NonisolatedNonsendingByDefault",
            "-parse-as-library", "-whole-module-optimization", "-gline-tables-only",
        ]
    }

    /// The digest of all that goes into a module.
    func hash(_ entry: FunctionCatalog.Entry) -> String {
        var digest = Digest()
        digest.add(identity.id)
        digest.add(codeFlags.joined(separator: " "))
        digest.add(entry.name)
        digest.add(HandlerFinder.Kind(entry.manifest.trigger).rawValue)
        digest.add(entry.manifest.handler ?? "")
        for file in entry.source.files {
            digest.add(file.path.lastPathComponent)
            digest.add(file.bytes)
        }
        return digest.hexadecimal(bytes: ModuleStore.hashLength / 2)
    }

    /// The path at which the function's module lies once it is built.
    func path(_ entry: FunctionCatalog.Entry) -> String { store.path(entry.name, hash: hash(entry)) }

    /// Whether the function's module is there and for this host.
    func isBuilt(_ entry: FunctionCatalog.Entry) -> Bool { (try? buildID(of: path(entry))) == identity.id }

    /// Builds a function's module unless it is there.
    ///
    /// - Parameters:
    ///   - entry: The function.
    ///   - isChecked: Whether a module that is there but not for this host is built anew.
    ///   - cancellation: Ends the compiler when cancelled.
    /// - Returns: The module.
    /// - Throws: ``FileProblems`` for what the author can mend, ``LoaderError`` for the rest, `CancellationError`.
    func build(_ entry: FunctionCatalog.Entry, isChecked: Bool, cancellation: Cancellation) throws -> Module {
        let hash = hash(entry)
        let path = store.path(entry.name, hash: hash)
        func isBuilt() -> Bool { FileSystem.isFile(path) && (!isChecked || (try? buildID(of: path)) == identity.id) }
        if isBuilt() {
            FileSystem.touch(path)
            return Module(path: path, isNew: false, warnings: [])
        }
        let glue = try glue(entry)
        guard let compiler = locateCompiler() else { throw FileProblems(missingCompiler(entry)) }
        let lockDeadline = Self.deadline + .seconds(10)
        return try store.withLock(entry.name, deadline: lockDeadline, cancellation: cancellation) {
            if isBuilt() { return Module(path: path, isNew: false, warnings: []) }
            return try store.withTemporaryFolder { folder in
                let glueFile = "\(folder)/\(EntryGlue.fileName)"
                try FileSystem.write(Array(glue.source.utf8), to: glueFile)
                let output = "\(folder)/module.so"
                let arguments = try [compiler] + arguments(entry, hash: hash, glueFile: glueFile, output: output)
                let run = try Subprocess.run(
                    arguments, deadline: Self.deadline, outputLimit: Self.outputLimit, cancellation: cancellation)
                let warnings = try check(run, entry: entry, glue: glue, glueFile: glueFile, compiler: compiler)
                let id = try buildID(of: output)
                guard id == identity.id else {
                    throw LoaderError(
                        .compiler, "the linker wrote the build id \(id) instead of \(identity.id) into \(entry.name)")
                }
                try FileSystem.rename(output, to: path)
                store.prune(entry.name)
                return Module(path: path, isNew: true, warnings: warnings)
            }
        }
    }

    private func arguments(
        _ entry: FunctionCatalog.Entry, hash: String, glueFile: String, output: String
    ) throws(LoaderError) -> [String] {
        let name = entry.name.replacing("-", with: "_")
        let cache = try moduleCache()
        var arguments = [
            "-emit-library", "-module-name", "ferry_\(name)_\(hash)", "-o", output,
            "-diagnostic-style=llvm", "-no-color-diagnostics", "-module-cache-path", cache,
            "-I", sdk.modulesFolder, "-Xlinker", "--build-id=0x\(identity.id)",
            "-Xcc", "-fmodule-map-file=\(try systemModuleMap(in: cache))",
        ]
        arguments += codeFlags
        for map in sdk.moduleMaps { arguments += ["-Xcc", "-fmodule-map-file=\(map)"] }
        return arguments + entry.source.files.map(\.path) + [glueFile]
    }

    private func buildID(of path: String) throws -> String {
        do {
            return try ELFBuildID.read(try FileSystem.read(path, limit: ModuleLoader.sizeLimit))
        } catch let fault as ELFBuildID.Fault {
            throw LoaderError(.compiler, "\(path) \(fault.reason)")
        }
    }

    /// The entry, after what can be told without the compiler was checked.
    private func glue(_ entry: FunctionCatalog.Entry) throws(FileProblems) -> EntryGlue {
        let finder = HandlerFinder(sources: entry.source.files.map { ($0.path, $0.bytes) })
        var problems: [FileProblem] = []
        // A build folder holds the host's own modules too; an installed SDK does not, so neither offers them.
        for module in finder.imports where !FunctionSDK.importable.contains(module.module) {
            guard FileSystem.isFile("\(sdk.modulesFolder)/\(module.module).swiftmodule") else { continue }
            let known = FunctionSDK.importable.sorted().joined(separator: ", ")
            problems.append(
                FileProblem(
                    file: module.file, line: module.line,
                    reason: "\(module.module) is not for functions; they may import \(known) and Swift's own modules"))
        }
        var handler: String?
        do {
            handler = try finder.handler(for: entry.source, manifest: entry.manifest)
        } catch {
            problems.append(error)
        }
        guard let handler, problems.isEmpty else { throw FileProblems(problems.sorted()) }
        return EntryGlue(kind: HandlerFinder.Kind(entry.manifest.trigger), handler: handler)
    }

    /// Turns the compiler's ending into warnings or an error.
    private func check(
        _ run: Subprocess, entry: FunctionCatalog.Entry, glue: EntryGlue, glueFile: String, compiler: String
    ) throws -> [FileProblem] {
        let diagnostics = CompilerDiagnostic.parse(run.output)
        switch run.ending {
        case .exited(0): return diagnostics.filter { $0.file != glueFile }.map { problem($0, entry) }
        case .cancelled: throw CancellationError()
        case .timedOut:
            let reason = "the compiler took longer than \(Self.deadline.components.seconds) s and was stopped"
            throw FileProblems(FileProblem(file: entry.source.folder, reason: reason))
        case .exited, .signalled: break
        }
        try checkVersion(of: compiler)
        let errors = diagnostics.filter { $0.severity == .error }
        let own = errors.filter { $0.file != glueFile && $0.line != nil }
        if !own.isEmpty { throw FileProblems(own.map { problem($0, entry) }) }
        if let inGlue = errors.first(where: { $0.file == glueFile }) {
            let reason = "\(glue.handler) cannot be the handler, a type that conforms to \(glue.kind.requirement): "
            throw FileProblems(entry.source.problem(reason + inGlue.message, at: .handler))
        }
        let text = errors.isEmpty ? String(run.output.suffix(2000)) : errors.map(\.message).joined(separator: "; ")
        throw FileProblems(
            FileProblem(file: entry.source.folder, reason: "the compiler failed (\(run.ending)): \(text)"))
    }

    private func problem(_ diagnostic: CompilerDiagnostic, _ entry: FunctionCatalog.Entry) -> FileProblem {
        let prefix = diagnostic.severity == .warning ? "warning: " : ""
        return FileProblem(
            file: diagnostic.line == nil ? entry.source.folder : diagnostic.file, line: diagnostic.line,
            column: diagnostic.column, reason: prefix + diagnostic.message, excerpt: diagnostic.excerpt)
    }

    /// Asked only after a failure: another version cannot read the SDK, and its own words for that help nobody.
    private func checkVersion(of compiler: String) throws {
        let run = try Subprocess.run(
            [compiler, "--version"], deadline: .seconds(30), outputLimit: 4096, cancellation: Cancellation())
        guard case .exited(0) = run.ending, !run.output.contains(identity.compiler) else { return }
        let version = run.output.split(separator: "\n").first { $0.contains("Swift version") } ?? "another version"
        throw LoaderError(
            .compiler,
            """
            \(compiler) is \(version), but this Ferry was built by \(identity.compiler), and only that compiler can \
            build functions for it; put it first in PATH, or build Ferry again
            """)
    }

    private func missingCompiler(_ entry: FunctionCatalog.Entry) -> FileProblem {
        let mend = """
            there is no Swift compiler (swiftc) on this machine; run "ferry build \(entry.name)" where there is one, and \
            copy \(store.folder)
            """
        guard let other = store.modules(of: entry.name).first else {
            return FileProblem(file: entry.source.folder, reason: "the function is not built, and \(mend)")
        }
        let id = try? buildID(of: other)
        guard let id, id != identity.id else {
            return FileProblem(
                file: entry.source.folder, reason: "the function has changed since it was built, and \(mend)")
        }
        return FileProblem(
            file: other, reason: "was built for the build id \(id), this host has \(identity.id), and \(mend)")
    }
}
