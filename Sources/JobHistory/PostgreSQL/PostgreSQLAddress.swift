/// One place where a server may be: what is put in the place of the URL's hosts for one attempt to connect.
struct PostgreSQLAddress: Sendable, Hashable {
    /// The name, which certificates are checked against, or the folder of a Unix socket; `nil` for the URL's or libpq's.
    var host: String?
    /// The address in numbers, so that libpq does not look up the name.
    var numbers: String?
    /// The port; `nil` for the URL's or libpq's.
    var port: String?

    /// In the form in which libpq takes it.
    var parameters: [(keyword: String, value: String)] {
        [("host", host), ("hostaddr", numbers), ("port", port)].compactMap { keyword, value in
            value.map { (keyword, $0) }
        }
    }
}
