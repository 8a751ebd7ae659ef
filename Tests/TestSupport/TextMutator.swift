/// Makes texts wrong in the ways in which people, programs and accidents do; the same for the same seed.
public struct TextMutator {
    private var generator: SeededGenerator
    private let corpus: [[UInt8]]
    private let words: [[UInt8]]

    /// What is put into texts besides words of the caller's: numbers at bounds, halves of tokens, bytes that are no UTF-8.
    private static let pieces: [[UInt8]] =
        [
            "", "0", "-1", "1e400", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "0x1F", "NaN",
            "null", "true", "{}", "[]", "{", "}", "[", "]", "\"", "\\", "\\u", "\\ud800", "\\ud83d\\ude00", "\\u0000",
            ":", ",", "/", "//", "/*", "*", "#", "?", "-", "%", "%00", " ", "\t", "\n", "\r\n", "\u{0}", "\u{7F}",
            "\u{FEFF}", "\u{2028}", "\u{202E}", "é", "e\u{301}", "٣", "１", "😀", "..", "../", "a.b", "@", "=",
        ].map { Array($0.utf8) } + [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80]]

    /// Makes a mutator.
    ///
    /// - Parameters:
    ///   - seed: Decides everything.
    ///   - corpus: Right texts, one at least.
    ///   - words: What the texts' format is made of.
    public init(seed: UInt64, corpus: [String], words: [String] = []) {
        generator = SeededGenerator(seed: seed)
        self.corpus = corpus.map { Array($0.utf8) }
        self.words = words.map { Array($0.utf8) }
    }

    /// The next text: one of the corpus after a few changes.
    public mutating func next() -> [UInt8] {
        var text = corpus[random(corpus.count)]
        for _ in 0...random(4) { change(&text) }
        return text
    }

    private mutating func random(_ bound: Int) -> Int { Int.random(in: 0..<max(bound, 1), using: &generator) }

    private mutating func range(in text: [UInt8], upTo limit: Int) -> Range<Int> {
        let start = random(text.count + 1)
        return start..<min(text.count, start + random(limit) + 1)
    }

    private mutating func piece() -> [UInt8] {
        let pool = words.isEmpty || random(2) == 0 ? Self.pieces : words
        return pool[random(pool.count)]
    }

    private mutating func change(_ text: inout [UInt8]) {
        switch random(12) {
        case 0 where !text.isEmpty: text[random(text.count)] ^= 1 << UInt8(random(8))
        case 1: text.insert(UInt8(random(256)), at: random(text.count + 1))
        case 2: text.removeSubrange(range(in: text, upTo: 12))
        case 3: text.insert(contentsOf: text[range(in: text, upTo: 40)], at: random(text.count + 1))
        case 4 where random(3) == 0: text.removeSubrange(random(text.count + 1)...)
        case 5: token(&text) { _ in [] }
        case 6: text.replaceSubrange(range(in: text, upTo: 6), with: piece())
        case 7:
            let other = corpus[random(corpus.count)]
            text.insert(contentsOf: other[range(in: other, upTo: 80)], at: random(text.count + 1))
        case 8 where random(4) == 0:
            // Deep, or long.
            let many = [UInt8](repeating: Array("[{\"a0 ".utf8)[random(6)], count: [70, 600, 20_000][random(3)])
            text.insert(contentsOf: many, at: random(text.count + 1))
        case 9:
            let digits = "\(Int.random(in: .min ... .max, using: &generator))".utf8
            token(&text) { _ in Array(digits) }
        default:
            let piece = piece()
            token(&text) { _ in piece }
        }
    }

    /// Puts something else in the place of a word, a number or a string.
    private mutating func token(_ text: inout [UInt8], _ replacement: ([UInt8]) -> [UInt8]) {
        func isOfToken(_ byte: UInt8) -> Bool {
            byte > 0x7F || Character(Unicode.Scalar(byte)).isLetter || byte & 0xF0 == 0x30
        }
        guard let found = text[random(text.count)...].firstIndex(where: isOfToken) else { return }
        let end = text[found...].firstIndex { !isOfToken($0) } ?? text.count
        text.replaceSubrange(found..<end, with: replacement(Array(text[found..<end])))
    }
}
