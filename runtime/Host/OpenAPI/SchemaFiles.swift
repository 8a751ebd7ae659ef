/// The JSON Schemas that a function's manifest may name: those beside it, and those that all functions share.
public struct SchemaFiles: Sendable, Hashable {
    /// How the names of schemas end.
    static let suffix = ".schema.json"
    /// The folder of the shared schemas, beside the functions' own.
    static let sharedFolder = "schemas"
    /// The largest schema, in bytes.
    static let fileLimit = 256 << 10
    /// What the names of shared schemas may not be: components of the host's.
    static let reserved: Set<String> = ["Error", "CloudEvent"]

    /// The function's name.
    var function = ""
    /// The function's folder.
    var folder = ""
    /// The contents of the schemas beside the manifest, by file name.
    var own: [String: [UInt8]] = [:]
    /// The contents of the shared schemas, by file name. Where there are none, as for a function whose folder was copied
    /// elsewhere, each that is named stands for any value.
    var shared: [String: [UInt8]] = [:]

    /// Makes none.
    public init() {}

    init(function: String, folder: String, own: [String: [UInt8]] = [:], shared: [String: [UInt8]] = [:]) {
        self.function = function
        self.folder = folder
        self.own = own
        self.shared = shared
    }

    /// A schema that is named.
    struct Target: Hashable {
        /// The file's name.
        let name: String
        let isShared: Bool
    }

    /// Why a name is no schema's.
    struct Fault: Error {
        let reason: String
    }

    /// Finds what a name stands for.
    ///
    /// - Parameters:
    ///   - reference: `name.schema.json`, or `../schemas/name.schema.json`.
    ///   - isShared: Whether the name stands in a shared schema.
    /// - Returns: The file.
    /// - Throws: ``Fault`` when there is none.
    func target(_ reference: String, isShared: Bool) throws(Fault) -> Target {
        let prefix = "../\(Self.sharedFolder)/"
        let isForeign = !isShared && reference.hasPrefix(prefix)
        let name = isForeign ? String(reference.dropFirst(prefix.count)) : reference
        let stem = name.dropLast(Self.suffix.count)
        guard name.hasSuffix(Self.suffix), !stem.isEmpty, stem.utf8.allSatisfy(Self.isNameByte) else {
            throw Fault(
                reason:
                    "must name a file beside this one, or one of \(prefix), whose name is letters, digits, - and _ and "
                    + "ends in \(Self.suffix), not \"\(reference.prefix(64))\"")
        }
        let target = Target(name: name, isShared: isShared || isForeign)
        let known = target.isShared ? shared : own
        guard known[name] != nil || target.isShared && shared.isEmpty else {
            let near = Suggestion.nearest(to: name, in: known.keys)
            let hint = near.map { "; did you mean \"\(isForeign ? prefix : "")\($0)\"?" } ?? ""
            throw Fault(reason: "names \(path(of: target)), which is not there\(hint)")
        }
        if target.isShared, Self.reserved.contains(String(stem)) {
            throw Fault(reason: "names \(path(of: target)), but the host has a component \(stem) of its own")
        }
        return target
    }

    /// The contents of a schema.
    func bytes(_ target: Target) -> [UInt8] { (target.isShared ? shared : own)[target.name] ?? Array("{}".utf8) }

    /// Where a schema lies.
    func path(of target: Target) -> String {
        target.isShared ? "\(parent)/\(Self.sharedFolder)/\(target.name)" : "\(folder)/\(target.name)"
    }

    /// The name of a schema among the components of an OpenAPI document.
    func component(_ target: Target) -> String {
        let stem = String(target.name.dropLast(Self.suffix.count))
        return target.isShared ? stem : "\(function).\(stem)"
    }

    private var parent: String {
        folder.lastIndex(of: "/").map { String(folder[..<$0]) } ?? "."
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
