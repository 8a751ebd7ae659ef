internal import FunctionKit
internal import NIOHTTP1
internal import ObjectStorage

/// A request as S3 understands it: what it is about, and its parameters.
struct S3Request: Sendable {
    /// The id that the answer and the log carry.
    let id: String
    let method: HTTPMethod
    let headers: HTTPHeaders
    let bucket: String?
    /// The decoded key; `nil` when the request is about the bucket.
    let key: String?
    let parameters: [SigV4Parameter]
    /// As on the wire: nothing may normalise it, or the signature would be another.
    let target: String

    /// Reads a request's head.
    ///
    /// - Parameters:
    ///   - head: The head.
    ///   - id: The request's id.
    ///   - hostNames: The names of the endpoint in lower case; a `Host` below one of them names a bucket.
    /// - Throws: ``S3Fault`` when it cannot be read.
    init(_ head: HTTPRequestHead, id: String, hostNames: [String]) throws(S3Fault) {
        let invalid = S3Fault(400, "InvalidURI", "Couldn't parse the specified URI.")
        let halves = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = halves.first, path.hasPrefix("/"),
            let parameters = SigV4Query.parse(halves.count > 1 ? halves[1] : "")
        else { throw invalid }
        self.id = id
        method = head.method
        headers = head.headers
        self.parameters = parameters
        target = head.uri

        var rest = path.dropFirst()
        if let bucket = S3Request.bucket(ofHost: head.headers.first(name: "host") ?? "", below: hostNames) {
            self.bucket = bucket
        } else {
            let end = rest.firstIndex(of: "/") ?? rest.endIndex
            guard let bucket = S3Request.decode(rest[..<end]) else { throw invalid }
            self.bucket = bucket.isEmpty ? nil : bucket
            rest = rest[end...].dropFirst()
        }
        guard let key = S3Request.decode(rest) else { throw invalid }
        guard key.utf8.count <= 1024 else { throw S3Fault(400, "KeyTooLongError", "Your key is too long") }
        self.key = key.isEmpty ? nil : key
        // An empty first segment names no bucket, and so no key.
        if bucket == nil, self.key != nil { throw invalid }
    }

    private static func decode(_ text: Substring) -> String? {
        PercentEncoding.decode(text).flatMap { $0.utf8.contains(0) ? nil : $0 }
    }

    static func bucket(ofHost host: String, below names: [String]) -> String? {
        var host = host.lowercased()
        if let colon = host.lastIndex(of: ":"), host[host.index(after: colon)...].allSatisfy(\.isNumber) {
            host = String(host[..<colon])
        }
        // A host that is itself a name of the endpoint, `s3.localhost` say, is no bucket of a shorter one.
        guard !names.contains(host) else { return nil }
        for name in names.sorted(by: { $0.count > $1.count }) where host.hasSuffix("." + name) {
            return String(host.dropLast(name.count + 1))
        }
        return nil
    }

    /// A field's value; several are joined, as HTTP has it.
    func header(_ name: String) -> String? {
        let values = headers[name]
        return values.isEmpty ? nil : values.joined(separator: ",")
    }

    /// A parameter's value; empty for one without.
    func parameter(_ name: String) -> String? { parameters.first { $0.name == name }?.value }

    func integer(_ name: String, default fallback: Int, _ range: ClosedRange<Int>) throws(S3Fault) -> Int {
        guard let text = parameter(name), !text.isEmpty else { return fallback }
        guard let number = Int(text), number >= range.lowerBound else {
            throw .invalidArgument("Argument \(name) must be an integer between \(range.lowerBound) and 2147483647")
        }
        return min(number, range.upperBound)
    }

    /// Refuses parameters that this operation does not know: ignoring one would be another answer than asked for.
    func allow(_ names: String...) throws(S3Fault) {
        for parameter in parameters where !parameter.name.hasPrefix("X-Amz-") && parameter.name != "x-id" {
            guard names.contains(parameter.name) else { throw .notImplemented("the parameter '\(parameter.name)'") }
        }
    }

    var preconditions: Preconditions {
        Preconditions(
            ifMatch: header("if-match"), ifNoneMatch: header("if-none-match"),
            ifModifiedSince: header("if-modified-since"), ifUnmodifiedSince: header("if-unmodified-since"))
    }
}
