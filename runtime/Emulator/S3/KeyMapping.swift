// How keys become paths: a key is its own path wherever it can be, so that a person finds the files, and every key has a
// path of its own that leads back to it.
//
//   segment           a name in a folder, the bytes 00-1F, 7F and `%` as `%XX`
//   `.` and `..`      `%2E` and `%2E%2E`
//   an empty segment  `%-` (a leading slash, a trailing one, or `//`)
//   a long segment    pieces of at most 200 bytes, one below the other; each but the last ends with `%+`
//
// `a` and `a/b` can both be keys, but not both a file and a folder: the file of such a key is then `a%`, which no
// segment maps to, as `%` is always followed by something. `S3FileStore` moves the file when it meets the other.
// Rejected: a mark on every folder or file, which would spoil the names that people see for the sake of a rare case.

/// Maps keys to relative paths and back.
enum KeyMapping {
    /// The longest name in a folder; leaves room in 255 bytes for what is added to the names of metadata files.
    static let maximumNameBytes = 200
    /// Ends the name of a piece that goes on in the folder of that name.
    static let continued = "%+"
    /// Ends the name of a file whose plain name is a folder.
    static let beside = "%"

    /// The names of the folders and, last, of the file.
    static func names(of key: ObjectKey) -> [String] {
        key.text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).flatMap { segment in
            pieces(of: Array(segment))
        }
    }

    /// What a name in a folder stands for.
    enum Name: Equatable {
        /// A whole segment, or the last piece of one; with whether the name was that beside a folder.
        case segment([UInt8], isBeside: Bool)
        /// A piece that goes on below.
        case piece([UInt8])
    }

    /// Reads a name; `nil` for one that no key maps to.
    static func read(_ name: String) -> Name? {
        var bytes = Array(name.utf8)
        if name.hasSuffix(continued) {
            guard let piece = decode(Array(bytes.dropLast(2))), !piece.isEmpty else { return nil }
            return .piece(piece)
        }
        let isBeside = bytes.last == UInt8(ascii: "%")
        if isBeside { bytes.removeLast() }
        guard let segment = decode(bytes), encode(segment) == bytes else { return nil }
        return .segment(segment, isBeside: isBeside)
    }

    private static func pieces(of segment: [UInt8]) -> [String] {
        let encoded = encode(segment)
        guard encoded.count > maximumNameBytes else { return [String(decoding: encoded, as: UTF8.self)] }
        var pieces: [String] = []
        var start = 0
        while encoded.count - start > maximumNameBytes {
            var end = start + maximumNameBytes - continued.utf8.count
            while !isBoundary(end, in: encoded) { end -= 1 }
            pieces.append(String(decoding: encoded[start..<end], as: UTF8.self) + continued)
            start = end
        }
        pieces.append(String(decoding: encoded[start...], as: UTF8.self))
        return pieces
    }

    /// Whether a name may be cut there: not within an escape, not within a character.
    private static func isBoundary(_ index: Int, in encoded: [UInt8]) -> Bool {
        encoded[index] & 0xC0 != 0x80 && encoded[index - 1] != UInt8(ascii: "%")
            && encoded[index - 2] != UInt8(ascii: "%")
    }

    private static func encode(_ segment: [UInt8]) -> [UInt8] {
        if segment.isEmpty { return Array("%-".utf8) }
        let isDots = segment == Array(".".utf8) || segment == Array("..".utf8)
        return segment.flatMap { byte -> [UInt8] in
            guard isDots || byte < 0x20 || byte == 0x7F || byte == UInt8(ascii: "%") else { return [byte] }
            return [UInt8(ascii: "%"), digit(byte >> 4), digit(byte & 15)]
        }
    }

    private static func decode(_ name: [UInt8]) -> [UInt8]? {
        if name == Array("%-".utf8) { return [] }
        guard !name.isEmpty else { return nil }
        var decoded: [UInt8] = []
        var index = 0
        while index < name.count {
            if name[index] == UInt8(ascii: "%") {
                guard index + 2 < name.count, let high = value(name[index + 1]), let low = value(name[index + 2]) else {
                    return nil
                }
                decoded.append(high << 4 | low)
                index += 3
            } else {
                decoded.append(name[index])
                index += 1
            }
        }
        return decoded
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 48 + value : 55 + value }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 48...57: digit - 48
        case 65...70: digit - 55
        default: nil
        }
    }
}
