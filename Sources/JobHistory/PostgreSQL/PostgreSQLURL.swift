internal import CPostgreSQL
internal import Glibc

/// Where a PostgreSQL server is and how to reach it: a URL as libpq takes it.
///
/// - Source: PostgreSQL documentation, 34.1.1.2 "Connection URIs", with the parameters of 34.1.2.
public struct PostgreSQLURL: Sendable {
    let text: String

    /// Checks the parts that do not need the library.
    ///
    /// - Parameter text: `postgresql://…` or `postgres://…`. A raw `@`, `/` or `?` in a password must be percent-encoded:
    ///   libpq would take what follows for the host's name, and print it.
    public init?(_ text: String) {
        guard text.hasPrefix("postgresql://") || text.hasPrefix("postgres://"), !text.utf8.contains(0) else {
            return nil
        }
        let rest = text.split(separator: "://", maxSplits: 1).last ?? ""
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard rest.count(where: { $0 == "@" }) == authority.count(where: { $0 == "@" }),
            authority.count(where: { $0 == "@" }) <= 1
        else { return nil }
        self.text = text
    }

    /// The database's name and place for people, without user and password, such as `ferry at db.internal:5432`.
    ///
    /// - Throws: ``HistoryError`` `failed` when the library refuses the URL.
    func place(_ library: PostgreSQLLibrary) throws(HistoryError) -> String {
        let values = try values(library)
        let database = values["dbname"] ?? values["user"] ?? "the user's database"
        let host = values["host"] ?? values["hostaddr"] ?? "the local socket"
        return "\(database) at \(host)" + (values["port"].map { ":\($0)" } ?? "")
    }

    /// The parameters that the URL names, by libpq's keywords.
    ///
    /// - Throws: ``HistoryError`` `failed` when the library refuses the URL.
    func values(_ library: PostgreSQLLibrary) throws(HistoryError) -> [String: String] {
        let pq = library.functions
        var message: UnsafeMutablePointer<CChar>?
        let options = pq.conninfoParse(text, &message)
        defer {
            if let message { pq.freeMemory(message) }
            if let options { pq.conninfoFree(options) }
        }
        guard let options else {
            // What libpq says may quote any part of the URL, but for this one kind.
            let reason = message.map { String(cString: $0) } ?? ""
            let isSafe = reason.hasPrefix("invalid URI query parameter")
            throw HistoryError(
                .failed, "libpq does not take the URL" + (isSafe ? ": \(PostgreSQLFailure.oneLine(reason))" : ""))
        }
        var values: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { values[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return values
    }
}
