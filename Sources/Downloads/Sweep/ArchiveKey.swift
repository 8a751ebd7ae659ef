internal import FunctionKit

/// What the key of an archive tells: whose it is, and which worker made it.
struct ArchiveKey: Sendable, Hashable {
    let jobID: JobID
    let round: Int
    let claim: Int

    init(_ record: JobRecord) {
        jobID = record.id
        round = record.round
        claim = record.claim
    }

    /// Reads a key.
    ///
    /// - Returns: `nil` for a key that no worker makes; somebody else has put it there.
    init?(_ key: String, prefix: String) {
        guard key.hasPrefix(prefix) else { return nil }
        let parts = key.dropFirst(prefix.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let id = JobID(parts[0]), parts[1].hasSuffix(".zip") else { return nil }
        let numbers = parts[1].dropLast(4).split(separator: "-", omittingEmptySubsequences: false)
        guard numbers.count == 2, let round = Int(numbers[0]), let claim = Int(numbers[1]) else { return nil }
        jobID = id
        self.round = round
        self.claim = claim
        guard text(prefix: prefix) == key else { return nil }
    }

    /// The key.
    func text(prefix: String) -> String { "\(prefix)\(jobID)/\(round)-\(claim).zip" }
}
