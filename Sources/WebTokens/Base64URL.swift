internal import FoundationEssentials

/// Base64 with the URL-safe alphabet and without padding (RFC 4648 section 5), as RFC 7515 has it.
public enum Base64URL {
    /// The bytes of a text.
    ///
    /// - Returns: `nil` for other characters, padding, an impossible length, or unused bits that are not zero: each
    ///   sequence of bytes has one form only.
    public static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var standard = Data(text.utf8)
        for index in standard.indices {
            switch standard[index] {
            case UInt8(ascii: "-"): standard[index] = UInt8(ascii: "+")
            case UInt8(ascii: "_"): standard[index] = UInt8(ascii: "/")
            default: break
            }
        }
        standard.append(contentsOf: repeatElement(UInt8(ascii: "="), count: (4 - standard.count % 4) % 4))
        // The decoder takes several texts for the same bytes; this one must be what they are encoded as.
        guard let bytes = Data(base64Encoded: standard), encode(bytes).utf8.elementsEqual(text.utf8) else { return nil }
        return Array(bytes)
    }

    /// The text of bytes.
    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        Data(bytes).base64EncodedString(options: [.base64URLAlphabet, .omitPaddingCharacter])
    }
}
