internal import FunctionKit

/// A query parameter, decoded.
public struct SigV4Parameter: Sendable, Hashable {
    /// The name.
    public let name: String
    /// The value; empty for a parameter without one, such as `uploads`.
    public let value: String

    /// Makes a parameter.
    public init(_ name: String, _ value: String = "") {
        self.name = name
        self.value = value
    }
}

/// Query strings as SigV4 reads and writes them.
public enum SigV4Query {
    /// Splits and decodes a raw query (without `?`); `+` stands for a space, as S3 takes it.
    ///
    /// - Returns: The parameters in the order they came in, or `nil` for a wrong escape or text that is not UTF-8.
    public static func parse(_ raw: some StringProtocol) -> [SigV4Parameter]? {
        var parameters: [SigV4Parameter] = []
        for part in raw.split(separator: "&") {
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentEncoding.decode(halves[0], plusIsSpace: true),
                let value = PercentEncoding.decode(halves.count > 1 ? halves[1] : "", plusIsSpace: true)
            else { return nil }
            parameters.append(SigV4Parameter(name, value))
        }
        return parameters
    }

    /// The canonical query: encoded, in order of the encoded names and then the encoded values, each with its `=`.
    public static func canonical(_ parameters: [SigV4Parameter]) -> String {
        parameters
            .map { (SigV4Encoding.component($0.name), SigV4Encoding.component($0.value)) }
            .sorted { $0.0 == $1.0 ? before($0.1, $1.1) : before($0.0, $1.0) }
            .map { "\($0.0)=\($0.1)" }
            .joined(separator: "&")
    }

    /// The order of bytes, which is not that of Swift's strings in general.
    private static func before(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }
}
