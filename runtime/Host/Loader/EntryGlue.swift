/// The source that makes Swift files a module: the one symbol by which the host gets the handler.
struct EntryGlue {
    /// The symbol that the host looks for.
    static let symbol = "ferry_module_entry"
    /// The name of the generated file, which cannot be that of an author's file beside it.
    static let fileName = "FerryModuleEntry.generated.swift"

    let kind: HandlerFinder.Kind
    let handler: String

    /// The text; the module that declares a type is named, so that an author's types may have any name.
    var source: String {
        """
        // Generated from function.json; changes are lost.
        import FunctionKit

        @_cdecl("\(Self.symbol)")
        public func _ferryModuleEntry() -> UnsafeMutableRawPointer {
            FunctionKit.ModuleEntry(\(kind.rawValue): \(handler).self).retained()
        }

        """
    }
}
