/// A request's `Range`.
enum ByteRange {
    enum Selection: Equatable {
        /// The whole object: there is no range, or none that counts.
        case whole
        /// These bytes, half open.
        case part(Range<Int64>)
        /// The range lies outside the object: 416.
        case unsatisfiable
    }

    /// Reads a `Range` field. One range of bytes counts; several, other units and what is not well-formed are ignored,
    /// as the standard allows and S3 does.
    ///
    /// - Source: RFC 9110 section 14.1.2.
    static func select(_ header: String?, sizeBytes: Int64) -> Selection {
        guard let header, header.lowercased().hasPrefix("bytes=") else { return .whole }
        let halves = header.dropFirst(6).split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
            .map { $0.filter { $0 != " " } }
        guard halves.count == 2, halves.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }) else {
            return .whole
        }
        if halves[0].isEmpty {
            guard !halves[1].isEmpty else { return .whole }
            let count = Int64(halves[1]) ?? .max
            guard count > 0, sizeBytes > 0 else { return .unsatisfiable }
            return .part(max(0, sizeBytes - count)..<sizeBytes)
        }
        guard let first = Int64(halves[0]) else { return .unsatisfiable }
        let last = halves[1].isEmpty ? .max : Int64(halves[1]) ?? .max
        guard last >= first else { return .whole }
        guard first < sizeBytes else { return .unsatisfiable }
        return .part(first..<min(last, sizeBytes - 1) + 1)
    }

    /// Reads `x-amz-copy-source-range`, which must have both ends and lie within the source.
    static func copySource(_ header: String, sizeBytes: Int64) throws(S3Fault) -> Range<Int64> {
        let fault = S3Fault.invalidArgument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
                + "zero-based offsets of the first and last bytes to copy")
        let halves = header.split(separator: "-", omittingEmptySubsequences: false)
        guard header.hasPrefix("bytes="), halves.count == 2, let last = Int64(halves[1]),
            case .part(let range) = select(header, sizeBytes: sizeBytes)
        else { throw fault }
        guard range.upperBound == last + 1 else {
            throw S3Fault(416, "InvalidRange", "The range is not valid for a source of size \(sizeBytes)")
        }
        return range
    }
}
