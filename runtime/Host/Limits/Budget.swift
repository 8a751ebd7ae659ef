/// How often, or how many at once.
public struct Budget: Sendable, Hashable {
    /// Who has it.
    public enum Holder: String, Sendable, CaseIterable {
        /// Each user. What is answered with an error does not count, nor do calls in a process without identities;
        /// where nobody is known it is each address.
        case user
        /// Each client address; of IPv6 each network of 64 bits.
        case address
    }

    /// Who has it.
    public var holder: Holder
    /// How many.
    public var count: Int
    /// In how long, from the first of them; `nil` for so many at once in this process.
    public var window: Duration?

    /// Makes a budget.
    public init(per holder: Holder, count: Int, window: Duration?) {
        self.holder = holder
        self.count = count
        self.window = window
    }
}
