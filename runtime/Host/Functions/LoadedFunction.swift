public import FunctionKit

/// A function that is ready to be called.
public struct LoadedFunction: Sendable {
    /// The name: the folder's.
    public let name: String
    /// What its `function.json` says.
    public let manifest: FunctionManifest
    /// The handler that its module handed over.
    public let handler: ModuleEntry.Handler

    /// Makes a loaded function; the loader does so, tests may with a handler of their own.
    public init(name: String, manifest: FunctionManifest, handler: ModuleEntry.Handler) {
        self.name = name
        self.manifest = manifest
        self.handler = handler
    }
}
