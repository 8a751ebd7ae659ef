/// Percent-encoding as SigV4 wants it: every byte of the UTF-8 but the unreserved ones (RFC 3986 section 2.3), with
/// upper-case digits.
///
/// S3 encodes a path once and never normalises it: `.`, `..` and `//` stay.
///
/// - Source: "Create a canonical request" in AWS, Signature Version 4, function UriEncode.
public enum SigV4Encoding {
    /// A path or a key: `/` stays.
    public static func path(_ text: some StringProtocol) -> String { encode(text.utf8, keepsSlash: true) }

    /// A query parameter's name or value: `/` becomes `%2F`.
    public static func component(_ text: some StringProtocol) -> String { encode(text.utf8, keepsSlash: false) }

    private static func encode(_ bytes: some Sequence<UInt8>, keepsSlash: Bool) -> String {
        var encoded: [UInt8] = []
        encoded.reserveCapacity(bytes.underestimatedCount + 16)
        for byte in bytes {
            if isUnreserved(byte) || (keepsSlash && byte == UInt8(ascii: "/")) {
                encoded.append(byte)
            } else {
                encoded.append(UInt8(ascii: "%"))
                encoded.append(digit(byte >> 4))
                encoded.append(digit(byte & 15))
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 48 + value : 55 + value }
}
