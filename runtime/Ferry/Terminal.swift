import FunctionKit
import Glibc
import Host

/// Plain text for people; colours only where the output is a terminal and `NO_COLOR` is not set.
struct Terminal {
    enum Colour: Int {
        case red = 31
        case green = 32
        case yellow = 33
        case bold = 1
    }

    private let descriptor: CInt
    let hasColours: Bool
    let isTerminal: Bool

    static let output = Terminal(descriptor: 1)
    static let errors = Terminal(descriptor: 2)

    private init(descriptor: CInt) {
        self.descriptor = descriptor
        isTerminal = isatty(descriptor) == 1
        hasColours = isTerminal && getenv("NO_COLOR") == nil
    }

    /// Writes a line at once; a reader that went away is no error.
    func line(_ text: String) {
        var bytes = Array((text + "\n").utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }

    /// A foreign text as it may be printed: control characters, which could change the terminal, are spelled out.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - limit: How many characters are printed; `…` stands for the rest.
    ///   - lines: Whether ends of lines and tabs are printed as they are.
    /// - Returns: The text to print.
    static func plain(_ text: String, limit: Int = .max, lines: Bool = false) -> String {
        var result = ""
        for (count, character) in text.enumerated() {
            guard count < limit else { return result + "…" }
            for scalar in character.unicodeScalars {
                switch scalar.properties.generalCategory {
                case .control where lines && (scalar == "\n" || scalar == "\t"): result.unicodeScalars.append(scalar)
                case .control, .lineSeparator, .paragraphSeparator, .format:
                    result += "\\u{\(String(scalar.value, radix: 16))}"
                default: result.unicodeScalars.append(scalar)
                }
            }
        }
        return result
    }

    func coloured(_ text: String, _ colour: Colour) -> String {
        hasColours ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text
    }

    /// A URL that terminals open at a click (OSC 8), where it is one.
    func link(_ url: String) -> String {
        isTerminal ? "\u{1B}]8;;\(url)\u{1B}\\\(url)\u{1B}]8;;\u{1B}\\" : url
    }

    /// Writes a problem as compilers do: place, reason, and the line of the source with a caret.
    func problem(_ problem: FileProblem) {
        line(coloured("\(problem)", problem.isWarning ? .yellow : .red))
        if let excerpt = problem.excerpt { line(excerpt) }
    }

    /// Writes rows with aligned columns; the last column is not padded.
    ///
    /// - Parameters:
    ///   - header: The names of the columns.
    ///   - rows: As many cells as the header has.
    ///   - colours: The colour of a row's last cell.
    func table(_ header: [String], _ rows: [[String]], colours: [Colour?]) {
        let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
        func text(_ cells: [String], last: (String) -> String) -> String {
            cells.enumerated().map { column, cell in
                guard column < cells.count - 1 else { return last(cell) }
                return cell + String(repeating: " ", count: widths[column] - cell.count + 2)
            }.joined()
        }
        line(coloured(text(header) { $0 }, .bold))
        for (row, colour) in zip(rows, colours) {
            line(text(row) { cell in colour.map { coloured(cell, $0) } ?? cell })
        }
    }
}
