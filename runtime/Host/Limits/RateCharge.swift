/// What a request has taken of budgets.
struct RateCharge: Sendable {
    /// How much is left of the tightest of them; `nil` when nothing was counted.
    var status: RateStatus?
    /// What goes back when the request comes to nothing.
    var refunds: [Refund] = []

    /// A counter, and its window that something was taken of.
    struct Refund: Sendable, Equatable {
        let key: String
        let window: Int64
    }
}
