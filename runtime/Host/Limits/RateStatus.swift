internal import FunctionKit

/// How much of a budget is left, as answers tell it.
struct RateStatus: Sendable, Equatable {
    /// How many the budget has.
    let limit: Int
    /// How many are left.
    let remaining: Int
    /// The whole seconds until it is full again.
    let resetSeconds: Int

    func add(to headers: inout HTTPFields) {
        headers[.rateLimitLimit] = "\(limit)"
        headers[.rateLimitRemaining] = "\(remaining)"
        headers[.rateLimitReset] = "\(resetSeconds)"
    }
}

extension HTTPField.Name {
    static let rateLimitLimit = HTTPField.Name(known: "ratelimit-limit")
    static let rateLimitRemaining = HTTPField.Name(known: "ratelimit-remaining")
    static let rateLimitReset = HTTPField.Name(known: "ratelimit-reset")
}
