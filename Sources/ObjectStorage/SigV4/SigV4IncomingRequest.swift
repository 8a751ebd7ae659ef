/// A request as it came in, for ``SigV4Verifier``.
public struct SigV4IncomingRequest: Sendable {
    /// The method in upper case.
    public let method: String
    /// The path as on the wire, percent-encoded, beginning with `/`.
    public let path: String
    /// The query as on the wire, without `?`; empty when there is none.
    public let query: String
    /// The header fields in the order they came in.
    public let headers: [(name: String, value: String)]

    /// Makes a description of a request.
    public init(method: String, path: String, query: String, headers: [(name: String, value: String)]) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
    }

    /// Makes a description of a request from the target of its request line, which is split at the first `?`.
    public init(method: String, target: String, headers: [(name: String, value: String)]) {
        let halves = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        self.init(
            method: method, path: String(halves[0]), query: halves.count > 1 ? String(halves[1]) : "",
            headers: headers)
    }

    /// The values of a field in order, the name in any case.
    func values(_ name: String) -> [String] {
        headers.filter { $0.name.lowercased() == name }.map(\.value)
    }

    /// The value of a field that came in once.
    func value(_ name: String) -> String? {
        let values = values(name)
        return values.count == 1 ? values[0] : nil
    }
}
