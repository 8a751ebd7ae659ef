internal import FunctionKit
internal import NIOCore

/// What happens when a file cannot be had.
public enum MissingFilePolicy: String, CaseIterable, Sendable, Hashable, Codable {
    /// It is left out and listed in the archive's manifest.
    case skip
    /// The job fails.
    case fail
}

/// How a job's files are to be packed.
public struct DownloadOptions: Sendable, Hashable {
    /// The name under which the archive is saved, sanitised and ending in `.zip`, or `nil`.
    public var archiveName: String?
    /// What happens when a file cannot be had.
    public var onMissing: MissingFilePolicy
    /// Who is told of the job's end, or `nil`.
    public var callbackURL: String?

    /// Makes options.
    public init(archiveName: String? = nil, onMissing: MissingFilePolicy = .skip, callbackURL: String? = nil) {
        self.archiveName = archiveName
        self.onMissing = onMissing
        self.callbackURL = callbackURL
    }

    /// Reads the text that ``json`` made; what it does not tell has its default.
    public init(json: String) {
        self.init()
        guard case .object(let members) = JSONValue(json) else { return }
        for member in members {
            guard case .string(let text) = member.value else { continue }
            switch member.name {
            case "archiveName": archiveName = text
            case "onMissing": onMissing = MissingFilePolicy(rawValue: text) ?? .skip
            case "callbackURL": callbackURL = text
            default: continue
            }
        }
    }

    /// The options as JSON text, as record and history keep them.
    public var json: String {
        var writer = JSONWriter(capacity: 64)
        writer.object { writer in
            if let archiveName {
                writer.key("archiveName")
                writer.value(archiveName)
            }
            writer.key("onMissing")
            writer.value(onMissing.rawValue)
            if let callbackURL {
                writer.key("callbackURL")
                writer.value(callbackURL)
            }
        }
        return String(buffer: writer.buffer)
    }
}
