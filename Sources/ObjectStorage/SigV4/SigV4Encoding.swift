internal import FunctionKit

/// Percent-encoding as SigV4 wants it: every byte of the UTF-8 but the unreserved ones (RFC 3986 section 2.3), with
/// upper-case digits.
///
/// S3 encodes a path once and never normalises it: `.`, `..` and `//` stay.
///
/// - Source: "Create a canonical request" in AWS, Signature Version 4, function UriEncode.
public enum SigV4Encoding {
    /// A path or a key: `/` stays.
    public static func path(_ text: some StringProtocol) -> String { PercentEncoding.encode(text, keeping: "/") }

    /// A query parameter's name or value: `/` becomes `%2F`.
    public static func component(_ text: some StringProtocol) -> String { PercentEncoding.encode(text) }
}
