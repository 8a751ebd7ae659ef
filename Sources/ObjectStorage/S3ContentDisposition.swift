/// The `Content-Disposition` field of a download.
///
/// - Source: RFC 6266 and, for `filename*`, RFC 8187 (which replaces RFC 5987).
enum S3ContentDisposition {
    /// `attachment; filename="ascii"; filename*=UTF-8''…`: old clients read the first name, others the second.
    static func attachment(fileName: String) -> String {
        let safe = String(String.UnicodeScalarView(fileName.unicodeScalars.map { isUnsafe($0) ? "_" : $0 }))
        let plain = String(
            String.UnicodeScalarView(
                safe.unicodeScalars.map { $0.isASCII && $0 != "\"" && $0 != "%" ? $0 : "_" }))
        return "attachment; filename=\"\(plain)\"; filename*=UTF-8''\(SigV4Encoding.component(safe))"
    }

    /// Controls, which end a field, and what stands between folders.
    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 32 || (127...159).contains(scalar.value) || scalar == "/" || scalar == "\\"
    }
}
