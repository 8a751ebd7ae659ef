/// What a request has taken of budgets.
struct RateCharge: Sendable {
    /// How much is left of the tightest of them; `nil` when nothing was counted.
    var status: RateStatus?
    /// The counters to which it goes back when the request comes to nothing.
    var refundableKeys: [String] = []
}
