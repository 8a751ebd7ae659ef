internal import Synchronization

/// Counts what each holder of budgets has open in this process. Who has nothing open takes no memory.
final class OpenPlaces: Sendable {
    private let counts = Mutex<[String: Int]>([:])

    /// A place that is taken until the last reference to it goes, however the request or the stream ends.
    final class Place: Sendable {
        private let owner: OpenPlaces
        private let key: String

        fileprivate init(_ owner: OpenPlaces, _ key: String) {
            self.owner = owner
            self.key = key
        }

        deinit { owner.leave(key) }
    }

    /// Takes a place.
    ///
    /// - Returns: The place, or `nil` when so many are taken.
    func enter(_ key: String, limit: Int) -> Place? {
        let isFree = counts.withLock { counts in
            let count = counts[key, default: 0]
            guard count < limit else { return false }
            counts[key] = count + 1
            return true
        }
        return isFree ? Place(self, key) : nil
    }

    /// How many places a holder has taken.
    func count(_ key: String) -> Int { counts.withLock { $0[key, default: 0] } }

    private func leave(_ key: String) {
        counts.withLock { counts in
            let count = counts[key, default: 1] - 1
            counts[key] = count > 0 ? count : nil
        }
    }
}
