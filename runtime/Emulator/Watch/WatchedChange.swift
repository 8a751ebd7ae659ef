/// What may have changed since it was looked at last.
public struct WatchedChange: Sendable, Hashable {
    /// The folders of functions in which something was saved, that came, or that went, by name.
    public var functions: Set<String>
    /// Whether the configuration's file was saved, came or went.
    public var hasConfiguration: Bool
    /// Whether it is not known what has changed, so all must be looked at.
    public var isWhole: Bool

    /// Makes a change; by default an empty one.
    public init(functions: Set<String> = [], hasConfiguration: Bool = false, isWhole: Bool = false) {
        self.functions = functions
        self.hasConfiguration = hasConfiguration
        self.isWhole = isWhole
    }

    /// Whether nothing has changed.
    public var isEmpty: Bool { functions.isEmpty && !hasConfiguration && !isWhole }

    /// Whether functions must be looked at.
    public var concernsFunctions: Bool { isWhole || !functions.isEmpty }

    /// Whether the configuration must be looked at.
    public var concernsConfiguration: Bool { isWhole || hasConfiguration }

    /// Adds another change.
    public mutating func merge(_ other: WatchedChange) {
        functions.formUnion(other.functions)
        hasConfiguration = hasConfiguration || other.hasConfiguration
        isWhole = isWhole || other.isWhole
    }

    /// Whether work on this change is in vain once another has come.
    public func isOutdated(by other: WatchedChange) -> Bool {
        guard concernsFunctions, other.concernsFunctions else { return false }
        return isWhole || other.isWhole || !functions.isDisjoint(with: other.functions)
    }
}
