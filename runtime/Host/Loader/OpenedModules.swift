internal import FunctionKit
internal import Synchronization

/// The handlers of the modules that a process has opened, by the module's path, which holds the digest of all that went
/// into it.
///
/// No module is ever closed, so this grows by what the process has mapped anyway.
public final class OpenedModules: Sendable {
    private let handlers = Mutex<[String: ModuleEntry.Handler]>([:])

    /// Makes a list without modules.
    public init() {}

    subscript(path: String) -> ModuleEntry.Handler? {
        get { handlers.withLock { $0[path] } }
        set { handlers.withLock { $0[path] = newValue } }
    }
}
