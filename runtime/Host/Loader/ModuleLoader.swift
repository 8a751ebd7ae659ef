internal import FunctionKit
internal import Glibc

/// Opens modules. None is ever closed: Swift's metadata keeps pointing into it.
struct ModuleLoader: Sendable {
    /// The largest module that is opened, in bytes.
    static let sizeLimit = 512 << 20

    let identity: BuildIdentity

    /// Opens a module and takes its handler over. Blocks on the file system.
    ///
    /// - Throws: ``FileProblem`` that names the module and what mends it. Before the build id fits, nothing of the
    ///   module has run.
    func load(_ path: String, for entry: FunctionCatalog.Entry) throws(FileProblem) -> LoadedFunction {
        try checkBuildID(of: path, function: entry.name)
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            throw FileProblem(file: path, reason: "cannot be opened: \(Self.dynamicLinkerError())")
        }
        guard let symbol = dlsym(handle, EntryGlue.symbol) else {
            throw FileProblem(file: path, reason: "has no symbol \(EntryGlue.symbol): \(Self.dynamicLinkerError())")
        }
        typealias Entry = @convention(c) () -> UnsafeMutableRawPointer
        // The symbol is the generated function of that very type: the build id, which only the generator's compiler
        // writes, was checked.
        let function = unsafeBitCast(symbol, to: Entry.self)
        let handler = ModuleEntry.takeRetained(function()).handler
        let kind: HandlerFinder.Kind =
            switch handler {
            case .http: .http
            case .stream: .stream
            case .webSocket: .webSocket
            case .queue: .queue
            case .event: .event
            case .schedule: .schedule
            }
        // The module's entry makes a handler of requests of one of CloudEvents; which of them is in the module's hash.
        let wanted = HandlerFinder.Kind(entry.manifest.trigger)
        let expected = wanted == .cloudEvents ? .http : wanted
        guard kind == expected else {
            throw FileProblem(
                file: path,
                reason: """
                    handles the kind \(kind.rawValue), but the trigger needs \(expected.rawValue); \
                    run "ferry build \(entry.name)"
                    """)
        }
        return LoadedFunction(name: entry.name, manifest: entry.manifest, handler: handler, module: path)
    }

    private func checkBuildID(of path: String, function: String) throws(FileProblem) {
        let id: String
        do {
            id = try ELFBuildID.read(try FileSystem.read(path, limit: Self.sizeLimit))
        } catch let fault as ELFBuildID.Fault {
            throw FileProblem(file: path, reason: "is no module: it \(fault.reason); run \"ferry build \(function)\"")
        } catch {
            throw FileProblem(file: path, reason: "\(error)")
        }
        guard id == identity.id else {
            throw FileProblem(
                file: path,
                reason: """
                    was built by another compiler or for another SDK: its build id is \(id), this host's is \
                    \(identity.id) (\(identity.compiler)); run "ferry build \(function)"
                    """)
        }
    }

    /// What the dynamic linker says of the call that failed just now on this thread.
    private static func dynamicLinkerError() -> String {
        dlerror().map { String(cString: $0) } ?? "no reason was given"
    }
}
