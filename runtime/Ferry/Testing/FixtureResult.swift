import ArgumentParser
import FunctionKit
import Host

/// What came of a fixture's call.
struct FixtureResult: Encodable, Sendable {
    let function: String
    /// The file's name without its ending.
    let fixture: String
    let file: String
    let passed: Bool
    let ms: Int?
    /// Why there was no answer to compare.
    let reason: String?
    let differences: [Expectation.Difference]

    /// Makes a result.
    ///
    /// - Parameters:
    ///   - function: The function.
    ///   - file: The fixture's path.
    ///   - time: How long the call took, when there was one.
    ///   - reason: Why there was no answer to compare.
    ///   - differences: Where the answer differs.
    init(
        _ function: String, _ file: String, time: Duration? = nil, reason: String? = nil,
        differences: [Expectation.Difference] = []
    ) {
        self.function = function
        self.file = file
        let name = file.split(separator: "/").last ?? ""
        fixture = String(name.hasSuffix(".json") ? name.dropLast(5) : name)
        passed = reason == nil && differences.isEmpty
        ms = time.map { Int($0 / .milliseconds(1)) }
        self.reason = reason
        self.differences = differences
    }

    /// Prints one line, and below it what differs.
    func show() {
        let output = Terminal.output
        let verdict = passed ? output.coloured("ok  ", .green) : output.coloured("FAIL", .red)
        output.line("\(verdict)  \(function)/\(Terminal.plain(fixture))\(ms.map { "  \($0) ms" } ?? "")")
        if let reason { output.line(indented(Terminal.plain(reason, lines: true))) }
        for difference in differences {
            output.line("      " + Terminal.plain(difference.path, limit: 200))
            output.line("        expected " + Self.text(difference.expected))
            output.line("        got      " + Self.text(difference.actual))
        }
        if !passed { output.line("      in \(Terminal.plain(file))") }
    }

    private func indented(_ text: String) -> String {
        text.split(separator: "\n").map { "      \($0)" }.joined(separator: "\n")
    }

    private static func text(_ json: String?) -> String { json.map { Terminal.plain($0, limit: 300) } ?? "nothing" }

    /// Prints all results and ends the command with status 1 when one has failed.
    static func report(
        _ results: [FixtureResult], json: Bool, words: (good: String, bad: String) = ("passed", "failed")
    ) throws {
        let failed = results.count { !$0.passed }
        if json {
            Terminal.output.line(try JSON.text(results))
        } else {
            Terminal.output.line("\(results.count - failed) \(words.good), \(failed) \(words.bad)")
        }
        guard failed == 0 else { throw ExitCode.failure }
    }
}
