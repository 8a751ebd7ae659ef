internal import FunctionKit

/// A request's conditions on the object it is about.
///
/// - Source: RFC 9110 section 13.2.2, whose order S3 follows.
struct Preconditions: Sendable {
    enum Outcome: Equatable {
        case proceed
        case notModified
        case failed
    }

    var ifMatch: String?
    var ifNoneMatch: String?
    var ifModifiedSince: String?
    var ifUnmodifiedSince: String?

    /// - Parameters:
    ///   - etag: The object's tag without quotes.
    ///   - modifiedAt: When it was written; header fields know whole seconds only.
    /// - Returns: What to do.
    func evaluate(etag: String, modifiedAt: Timestamp) -> Outcome {
        let seconds = modifiedAt.milliseconds / 1000
        if let ifMatch {
            guard Preconditions.matches(ifMatch, etag) else { return .failed }
        } else if let limit = ifUnmodifiedSince.flatMap({ HTTPDate.seconds($0) }), seconds > limit {
            return .failed
        }
        if let ifNoneMatch {
            if Preconditions.matches(ifNoneMatch, etag) { return .notModified }
        } else if let limit = ifModifiedSince.flatMap({ HTTPDate.seconds($0) }), seconds <= limit {
            return .notModified
        }
        return .proceed
    }

    /// Whether one of the listed tags is this one; `*` is any.
    static func matches(_ list: String, _ etag: String) -> Bool {
        list.split(separator: ",").contains { item in
            var item = item.drop { $0 == " " }
            while item.last == " " { item.removeLast() }
            if item == "*" { return true }
            if item.hasPrefix("W/") { item = item.dropFirst(2) }
            if item.hasPrefix("\""), item.hasSuffix("\""), item.count >= 2 { item = item.dropFirst().dropLast() }
            return item == etag[...]
        }
    }
}
