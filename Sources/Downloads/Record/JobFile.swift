internal import FunctionKit

/// One file of a job and what became of it.
public struct JobFile: Sendable, Hashable {
    /// What became of a file.
    public enum State: String, Sendable, Hashable, Codable {
        /// Not looked at yet.
        case pending
        /// It is in the archive.
        case completed
        /// It is not in the archive.
        case failed
    }

    /// The file's id.
    public let id: Int64
    /// What became of it.
    public var state: State
    /// Its size in bytes, once it is known.
    public var sizeBytes: Int64?
    /// Why it failed, if it did.
    public var error: String?

    /// Makes a file; the defaults are those of one that was not looked at.
    public init(id: Int64, state: State = .pending, sizeBytes: Int64? = nil, error: String? = nil) {
        self.id = id
        self.state = state
        self.sizeBytes = sizeBytes
        self.error = error
    }
}

/// Why a job or an attempt failed.
public struct JobFailure: Sendable, Hashable {
    /// The class of the error, such as `storage_error`.
    public let code: String
    /// A sentence for the job's owner.
    public let message: String

    /// Makes a failure; control characters in the message become spaces, and a long one is cut.
    public init(code: String, message: String) {
        self.code = code
        self.message = JobFailure.line(message)
    }

    /// The failure as the history keeps it, `code: message`.
    var historyText: String { "\(code): \(message)" }

    /// Reads ``historyText``; a text without a known code is a message of unknown class.
    init(historyText text: String) {
        let code = text.prefix { $0 != ":" }
        if ErrorClass(rawValue: String(code)) != nil, text.dropFirst(code.count).hasPrefix(": ") {
            self.init(code: String(code), message: String(text.dropFirst(code.count + 2)))
        } else {
            self.init(code: ErrorClass.unknown.rawValue, message: text)
        }
    }

    /// A text as one line of bounded length.
    static func line(_ text: String) -> String {
        var line = String.UnicodeScalarView()
        for scalar in text.unicodeScalars.prefix(300) { line.append(scalar.value < 0x20 ? " " : scalar) }
        return String(line)
    }
}
