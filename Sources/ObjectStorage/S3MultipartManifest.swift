internal import FunctionKit

/// The list of parts that completes an upload.
enum S3MultipartManifest {
    /// The document.
    static func document(_ parts: [ObjectPart]) -> String {
        var text = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        for part in parts {
            text += "<Part><PartNumber>\(part.number)</PartNumber><ETag>\(escape(part.etag))</ETag></Part>"
        }
        return text + "</CompleteMultipartUpload>"
    }

    /// The entity tag of the object to be, quotes included: MD5 of the parts' MD5s, a hyphen, and their count.
    ///
    /// - Returns: `nil` when the parts' tags are no MD5s, as with some kinds of encryption at rest.
    static func entityTag(_ parts: [ObjectPart]) -> String? {
        var digests: [UInt8] = []
        for part in parts {
            let digits = Array(part.etag.utf8.filter { $0 != UInt8(ascii: "\"") })
            guard digits.count == 32 else { return nil }
            for index in stride(from: 0, to: 32, by: 2) {
                guard let byte = UInt8(String(decoding: digits[index...(index + 1)], as: UTF8.self), radix: 16) else {
                    return nil
                }
                digests.append(byte)
            }
        }
        var digest = MessageDigest(.md5)
        digests.withUnsafeBytes { digest.update($0) }
        return "\"\(Hexadecimal.encode(digest.finish()))-\(parts.count)\""
    }

    private static func escape(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }
}
