/// How far the tables of a history are.
///
/// Version n is what the first n steps have made. A released step is never changed: what comes later is a step of its own.
public struct HistorySchema: Sendable, Hashable {
    /// The version of the store's tables; 0 when there are none.
    public let version: Int
    /// The version that this program needs.
    public let latest: Int
    /// What the steps that are missing bring, in their order.
    public let pending: [String]

    /// Whether the tables are of a newer version, with which this program must not work.
    public var isNewer: Bool { version > latest }

    /// Whether the tables are as this program needs them.
    public var isCurrent: Bool { version == latest }

    init(version: Int, of migrations: [HistoryMigration]) {
        self.version = version
        latest = migrations.count
        pending = migrations.dropFirst(version).map(\.name)
    }

    /// Refuses tables of a newer version.
    ///
    /// - Throws: ``HistoryError`` `newerSchema`.
    func refuseNewer() throws(HistoryError) {
        guard isNewer else { return }
        throw HistoryError(
            .newerSchema,
            "the tables have schema version \(version), this program knows \(latest): it is older than what made them")
    }
}
