import Logging
import Testing

@testable import ferry

@Suite struct TextLogTests {
    @Test(
        arguments: [
            ("plain … ü", "plain … ü"), ("a\nb", "a\\nb"), ("a\r\u{1B}[2K", "a\\u{d}\\u{1b}[2K"),
            ("\u{9B}1m\u{7F}", "\\u{9b}1m\\u{7f}"), ("\u{202E}x\u{2028}", "\\u{202e}x\\u{2028}"),
        ])
    func `a line of the log is one line and commands no terminal`(text: String, line: String) {
        let whole = LogLine.text(level: "info", message: text, ["key": "\(text)"])
        #expect(whole.hasSuffix(" info \(line) key=\(line)"))
    }
}
