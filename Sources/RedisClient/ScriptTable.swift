import FunctionKit

/// The digests of scripts, and which of them the server of one connection is known to have.
struct ScriptTable {
    private struct Entry {
        let source: String
        let digest: String
        var isKnown: Bool
    }

    /// Programs have a few dozen scripts; the bound only guards against generated ones.
    private static let maximumCount = 1024

    /// By name, because hashing a whole source would cost more than the rest of a command; the source is then compared,
    /// which for the same string is one comparison of pointers.
    private var entries: [String: Entry] = [:]

    /// The digest when the server has the script; else `nil`, and the script counts as known from now on, because the
    /// caller sends it whole.
    mutating func digestOfKnown(_ script: StoreScript) -> String? {
        if let entry = entries[script.name], entry.source == script.source {
            if entry.isKnown { return entry.digest }
            entries[script.name]?.isKnown = true
            return nil
        }
        if entries.count >= Self.maximumCount { entries.removeAll() }
        entries[script.name] = Entry(source: script.source, digest: SHA1.hex(of: script.source.utf8), isKnown: true)
        return nil
    }

    /// Another server may answer from now on, which may have no script at all.
    mutating func forget() {
        for name in entries.keys { entries[name]?.isKnown = false }
    }
}
