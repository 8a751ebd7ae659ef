/// What went wrong between this program and a PostgreSQL server, before it is told to a caller.
struct PostgreSQLFailure: Error, Sendable {
    /// What kind of failure it is.
    enum Kind: Sendable, Hashable {
        /// The server refused, with its SQLSTATE.
        case refused(String)
        /// There is no connection, or there is none any more.
        case lost
        /// The deadline passed while the server was at work.
        case late
    }

    let kind: Kind
    let message: String

    /// A failure without a SQLSTATE.
    init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = Self.oneLine(message)
    }

    /// The five characters of Appendix A, "PostgreSQL Error Codes".
    var state: String? {
        if case .refused(let state) = kind { state } else { nil }
    }

    /// Whether the connection can be used no more: the server ends it (25P03, 25P04: a transaction that took too long), it is
    /// in an unknown state, or it leads to a server that takes no changes (25006: a standby, as after a failover).
    var endsConnection: Bool {
        guard let state else { return true }
        return state.hasPrefix("08") || state.hasPrefix("57P") || ["25006", "25P03", "25P04", "53300"].contains(state)
    }

    /// Whether the same may succeed a moment later.
    var isTransient: Bool {
        guard let state else { return kind == .lost }
        return endsConnection || state == "40001" || state == "40P01"
    }

    /// Whether it is about the values that were sent, so that other calls of the same statement may succeed.
    var isAboutValues: Bool { state.map { $0.hasPrefix("22") || $0.hasPrefix("23") } ?? false }

    /// Whether the transaction was certainly undone. When a connection is lost nobody knows.
    var isUndone: Bool { kind != .lost && !endsConnection }

    /// The form in which a caller sees it.
    var error: HistoryError {
        let code: HistoryError.Code =
            switch state {
            case nil: kind == .late ? .timeout : .unreachable
            case "57014": .timeout
            case "55P03": .busy
            case "53100": .full
            default: isTransient ? .unreachable : .failed
            }
        // The texts of class 22, data exceptions, quote values.
        let text = state?.hasPrefix("22") == true ? "a value is not possible in its column" : message
        return HistoryError(code, state.map { "PostgreSQL \($0): \(text)" } ?? text)
    }

    /// libpq's texts end with a newline and may have several lines.
    static func oneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).joined(separator: "; ")
    }
}
