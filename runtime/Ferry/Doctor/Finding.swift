/// What `ferry doctor` says of one thing.
struct Finding: Encodable {
    enum Status: String, Encodable {
        case ok
        case warning
        case failed
    }

    /// What was looked at, such as `redis`.
    let check: String
    let status: Status
    /// What was found.
    let detail: String
    /// What to do about it, unless all is well.
    let mend: String?

    static func ok(_ check: String, _ detail: String) -> Finding {
        Finding(check: check, status: .ok, detail: detail, mend: nil)
    }

    static func warning(_ check: String, _ detail: String, mend: String) -> Finding {
        Finding(check: check, status: .warning, detail: detail, mend: mend)
    }

    static func failed(_ check: String, _ detail: String, mend: String) -> Finding {
        Finding(check: check, status: .failed, detail: detail, mend: mend)
    }

    var colour: Terminal.Colour {
        switch status {
        case .ok: .green
        case .warning: .yellow
        case .failed: .red
        }
    }
}
