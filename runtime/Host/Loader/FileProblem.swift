/// Something wrong with a file that a person wrote, told so that editors can jump to it.
public struct FileProblem: Error, Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The path of the file, or of the folder where no file is to blame.
    public var file: String
    /// The line, from 1, where one is to blame.
    public var line: Int?
    /// The column, from 1, where one is to blame.
    public var column: Int?
    /// What is wrong.
    public var reason: String
    /// The line of the source with a caret below it, where the compiler gave one.
    public var excerpt: String?

    /// Makes a problem.
    public init(file: String, line: Int? = nil, column: Int? = nil, reason: String, excerpt: String? = nil) {
        self.file = file
        self.line = line
        self.column = column
        self.reason = reason
        self.excerpt = excerpt
    }

    /// Whether it is a warning, whose reason begins with `warning: `.
    public var isWarning: Bool { reason.hasPrefix("warning: ") }

    /// `file:line:column: reason`.
    public var description: String {
        var place = file
        if let line { place += ":\(line)" }
        if let column { place += ":\(column)" }
        return "\(place): \(reason.spellingOutControls)"
    }

    /// Orders by file, then place.
    public static func < (left: FileProblem, right: FileProblem) -> Bool {
        (left.file, left.line ?? 0, left.column ?? 0, left.reason)
            < (right.file, right.line ?? 0, right.column ?? 0, right.reason)
    }
}

extension FileProblem {
    /// The problems that a strict reader found in a file, in the order of the file.
    public static func problems(of reader: StrictReader, in file: String) -> [FileProblem] {
        reader.problems.map {
            FileProblem(file: file, line: $0.position.line, column: $0.position.column, reason: $0.reason)
        }.sorted()
    }

    /// The problem of a text that is not JSON.
    public init(_ error: PositionedJSON.SyntaxError, in file: String) {
        self.init(
            file: file, line: error.position.line, column: error.position.column, reason: "not JSON: \(error.reason)")
    }

    /// What hinders a file from being read as JSON. Blocks on the file system.
    public static func syntax(of file: String) -> [FileProblem] {
        do {
            _ = try PositionedJSON.parse(try FileSystem.read(file))
            return []
        } catch let error as PositionedJSON.SyntaxError {
            return [FileProblem(error, in: file)]
        } catch {
            return [FileProblem(file: file, reason: "\(error)")]
        }
    }
}
