import ArgumentParser
import Host

/// The names of functions, for the shell's completion.
enum FunctionNames {
    /// Completes to the functions of the folder that the line names with `--functions`.
    static let completion = CompletionKind.custom { words, _, _ in names(words) }

    /// The names in the folder of a line's words; none where it cannot be read.
    static func names(_ words: [String]) -> [String] {
        var folder = "functions"
        for (index, word) in words.enumerated() {
            if word == "--functions", index + 1 < words.count { folder = words[index + 1] }
            if word.hasPrefix("--functions=") { folder = String(word.dropFirst("--functions=".count)) }
        }
        return (try? FunctionCatalog.read(folder))?.names ?? []
    }
}
