/// How much callers may do.
public struct LimitsOptions: Sendable, Hashable {
    /// What happens while Redis, which counts, is away.
    public enum Failure: String, Sendable, CaseIterable {
        /// Nothing is limited.
        case open
        /// What is limited is answered with 503.
        case closed
    }

    /// Whether there are limits; when `nil`, there are where identities are.
    public var isEnabled: Bool?
    /// What happens while Redis is away.
    public var onStoreFailure = Failure.open
    /// The budgets by name, to which manifests refer.
    public var budgets: [String: Budget] = [
        "jobs": Budget(per: .user, count: 10, window: .seconds(3600)),
        "writes": Budget(per: .address, count: 100, window: .seconds(60)),
        "reads": Budget(per: .address, count: 1200, window: .seconds(60)),
        "streams": Budget(per: .address, count: 32, window: nil),
    ]

    /// The defaults.
    public init() {}

    /// What is wrong with a function's `rateLimit`; `nil` when its budgets are all known.
    public func problem(of function: String, _ manifest: FunctionManifest) -> String? {
        guard let name = manifest.rateLimit.first(where: { budgets[$0] == nil }) else { return nil }
        let known = budgets.keys.sorted().joined(separator: ", ")
        return "\(function): rateLimit names the budget \"\(name)\", which limits.budgets lacks; known are \(known)"
    }
}
