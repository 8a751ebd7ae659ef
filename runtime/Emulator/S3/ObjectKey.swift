/// An object's key.
///
/// Keys are compared byte by byte, as S3 does: Swift's own comparison of strings would take two spellings of `é` for
/// one key and would list keys in another order.
struct ObjectKey: Sendable, Hashable, Comparable, CustomStringConvertible {
    let text: String

    /// Takes a key of 1 to 1024 bytes; `nil` for any other.
    init?(_ text: String) {
        guard (1...1024).contains(text.utf8.count), !text.utf8.contains(0) else { return nil }
        self.text = text
    }

    var description: String { text }

    static func == (a: ObjectKey, b: ObjectKey) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }

    static func < (a: ObjectKey, b: ObjectKey) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }

    func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
    }
}
