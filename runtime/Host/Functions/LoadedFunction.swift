public import FunctionKit

/// A function that is ready to be called.
public struct LoadedFunction: Sendable {
    /// The name: the folder's.
    public let name: String
    /// What its `function.json` says.
    public let manifest: FunctionManifest
    /// The handler that its module handed over.
    public let handler: ModuleEntry.Handler
    /// The file of its module, whose name holds the digest of all that went into it; `nil` for a handler of the host's.
    public let module: String?

    /// Makes a loaded function; the loader does so, tests may with a handler of their own.
    public init(name: String, manifest: FunctionManifest, handler: ModuleEntry.Handler, module: String? = nil) {
        self.name = name
        self.manifest = manifest
        self.handler = handler
        self.module = module
    }
}
