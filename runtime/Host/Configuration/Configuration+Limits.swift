extension Configuration {
    mutating func applyLimits(_ root: StrictReader.Object, with reader: inout StrictReader) {
        let keys = ["enabled", "onStoreFailure", "budgets"]
        guard let section = reader.object(root, "limits", keys: keys) else { return }
        set(&limits.isEnabled, reader.bool(section, "enabled"))
        set(&limits.onStoreFailure, reader.choice(section, "onStoreFailure"))
        guard let json = section.json["budgets"] else { return }
        guard let members = json.members else {
            reader.report(json, "limits.budgets", "must be an object, not \(json.kind)")
            return
        }
        for member in members {
            let path = "limits.budgets.\(member.key)"
            guard !member.key.isEmpty, member.key.utf8.count <= 64, !member.key.contains(":") else {
                reader.report(at: member.keyPosition, path, "must be a name of 1…64 bytes without colons")
                continue
            }
            guard let budget = reader.object(member.value, path: path, keys: ["per", "count", "window"]) else {
                continue
            }
            let known = limits.budgets[member.key]
            let holder: Budget.Holder? = reader.choice(budget, "per")
            let count = reader.integer(budget, "count", in: 1...1_000_000_000)
            let window = reader.duration(budget, "window", in: .seconds(1)...(.seconds(86_400 * 31)))
            guard let holder = holder ?? known?.holder, let count = count ?? known?.count else {
                for key in ["per", "count"] where budget.json[key] == nil {
                    reader.report(member.value, "\(path).\(key)", "is required")
                }
                continue
            }
            limits.budgets[member.key] = Budget(per: holder, count: count, window: window ?? known?.window)
        }
    }

    /// Whether callers are held to budgets.
    public var hasLimits: Bool { limits.isEnabled ?? (identity.mode != .none) }
}
