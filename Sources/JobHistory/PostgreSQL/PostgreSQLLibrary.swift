internal import CPostgreSQL
internal import Glibc
internal import Synchronization

/// libpq, opened when it is first needed.
///
/// Linked into the executable it would pull about twenty libraries (Kerberos, LDAP, SASL …) into every start, also of
/// those who keep their history in SQLite.
struct PostgreSQLLibrary: @unchecked Sendable {
    // The pointers are to code that stays mapped (it is never closed) and are not changed once they are found.
    let functions: FerryPQFunctions

    /// The name under which every libpq since PostgreSQL 8.3 is installed.
    private static let name = "libpq.so.5"

    private static let loaded = Mutex<PostgreSQLLibrary?>(nil)

    /// Opens the library once. It blocks for some milliseconds.
    ///
    /// - Throws: ``HistoryError`` `failed` with what the system's loader says.
    static func load() throws(HistoryError) -> PostgreSQLLibrary {
        try loaded.withLock { loaded throws(HistoryError) in
            if let loaded { return loaded }
            let library = try open()
            loaded = library
            return library
        }
    }

    private static func open() throws(HistoryError) -> PostgreSQLLibrary {
        guard let handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) else {
            let reason = dlerror().map { String(cString: $0) } ?? "no reason given"
            throw HistoryError(.failed, "PostgreSQL's client library (Debian: libpq5) cannot be loaded: \(reason)")
        }
        let functions = UnsafeMutablePointer<FerryPQFunctions>.allocate(capacity: 1)
        defer { functions.deallocate() }
        if let missing = ferry_pq_find(handle, functions) {
            throw HistoryError(.failed, "\(name) has no function \(String(cString: missing))")
        }
        return PostgreSQLLibrary(functions: functions.pointee)
    }
}
