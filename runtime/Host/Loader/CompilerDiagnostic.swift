/// One message of the Swift compiler, as `-diagnostic-style=llvm` prints it: `file:line:column: error: message`, followed
/// by the line of the source and a caret.
struct CompilerDiagnostic: Hashable {
    enum Severity: String {
        case error
        case warning
        case note
    }

    let severity: Severity
    let file: String
    let line: Int?
    let column: Int?
    let message: String
    let excerpt: String?

    /// Takes the errors and warnings out of the compiler's output, each once; notes are left out.
    static func parse(_ output: String) -> [CompilerDiagnostic] {
        var result: [CompilerDiagnostic] = []
        var seen: Set<CompilerDiagnostic> = []
        var head: Head?
        var excerpt: [Substring] = []
        func finish() {
            guard let head, head.severity != .note else { return }
            let diagnostic = CompilerDiagnostic(
                severity: head.severity, file: head.file, line: head.line, column: head.column, message: head.message,
                excerpt: excerpt.isEmpty ? nil : excerpt.joined(separator: "\n"))
            if seen.insert(diagnostic).inserted { result.append(diagnostic) }
        }
        for line in output.split(separator: "\n", omittingEmptySubsequences: true) {
            if let next = Head(line) {
                finish()
                head = next
                excerpt = []
            } else if head?.line != nil, excerpt.count < 2 {
                excerpt.append(line)
            }
        }
        finish()
        return result
    }

    /// The first line of a message.
    private struct Head {
        let severity: Severity
        let file: String
        let line: Int?
        let column: Int?
        let message: String

        init?(_ text: Substring) {
            for severity in [Severity.error, .warning, .note] {
                let mark = ": \(severity.rawValue): "
                guard let range = text.firstRange(of: mark) else { continue }
                let place = text[..<range.lowerBound].split(separator: ":", omittingEmptySubsequences: false)
                if place.count >= 3, let line = Int(place[place.count - 2]), let column = Int(place[place.count - 1]) {
                    file = place.dropLast(2).joined(separator: ":")
                    self.line = line > 0 ? line : nil
                    self.column = line > 0 ? column : nil
                } else if text.hasPrefix("<unknown>:0") || place.count == 1 {
                    file = "<unknown>"
                    line = nil
                    column = nil
                } else {
                    continue
                }
                self.severity = severity
                message = String(text[range.upperBound...])
                return
            }
            if text.hasPrefix("error: ") {
                (severity, file, line, column) = (.error, "<unknown>", nil, nil)
                message = String(text.dropFirst(7))
                return
            }
            return nil
        }
    }
}
