/// One step of a store's tables, from the version before to this one.
struct HistoryMigration: Sendable {
    /// What it brings, in a few words.
    let name: String
    /// Its statements, which run in one transaction.
    let sql: String

    init(_ name: String, _ sql: String) {
        self.name = name
        self.sql = sql
    }
}
