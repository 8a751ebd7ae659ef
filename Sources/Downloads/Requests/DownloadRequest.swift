public import FunctionKit
internal import NIOCore

/// What `initiate` accepts: the files and how they are to be packed.
public struct DownloadRequest: Sendable, Hashable {
    /// How many files one job may have.
    public static let maxFiles = 1_000

    /// 1 to 1000 ids in the order asked for, each once.
    public let fileIDs: [Int64]
    /// How they are to be packed.
    public let options: DownloadOptions
    /// The policy as it was sent, before the default.
    private let sentPolicy: MissingFilePolicy?

    /// Reads and checks a request's body.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - defaultPolicy: What happens to missing files when the request does not say.
    ///   - webhooks: Who says which callback URLs can be used; `nil` refuses all.
    /// - Throws: ``HTTPError``: 415, 400 `malformed_json`, or 400 `validation_failed` with every problem.
    public init(
        _ request: Request, defaultPolicy: MissingFilePolicy, webhooks: (any WebhookClient)? = nil
    ) throws {
        var reader = try RequestReader(request, known: ["file_ids", "archive_name", "on_missing", "callback_url"])
        fileIDs = Self.fileIDs(&reader)
        let name = Self.archiveName(&reader)
        sentPolicy = Self.policy(&reader)
        options = DownloadOptions(
            archiveName: name, onMissing: sentPolicy ?? defaultPolicy,
            callbackURL: Self.callbackURL(&reader, webhooks))
        try reader.finish()
    }

    /// The SHA-256 of what is asked for, whatever its order of members, spaces and duplicates; in hexadecimal.
    var digest: String {
        var writer = JSONWriter(capacity: 128 + fileIDs.count * 10)
        writer.array { writer in
            writer.array { writer in
                for id in fileIDs { writer.value(Int(id)) }
            }
            writer.value(options.archiveName)
            writer.value(sentPolicy?.rawValue)
            // Left out where there is none: keys of before keep their digests.
            if let url = options.callbackURL { writer.value(url) }
        }
        return SHA256.hex(of: writer.buffer.readableBytesView)
    }

    private static func fileIDs(_ reader: inout RequestReader) -> [Int64] {
        guard let value = reader.member("file_ids") else {
            reader.report("file_ids", "is required")
            return []
        }
        guard case .array(let elements) = value else {
            reader.report("file_ids", "must be an array of integers")
            return []
        }
        if elements.isEmpty { reader.report("file_ids", "must not be empty") }
        if elements.count > maxFiles {
            reader.report("file_ids", "must have at most \(maxFiles) elements, not \(elements.count)")
        }
        var seen: Set<Int64> = []
        var ids: [Int64] = []
        for (index, element) in elements.prefix(maxFiles).enumerated() {
            guard let id = reader.fileID(element, field: "file_ids[\(index)]") else { continue }
            if seen.insert(id).inserted { ids.append(id) }
        }
        return ids
    }

    private static func archiveName(_ reader: inout RequestReader) -> String? {
        guard let value = reader.member("archive_name") else { return nil }
        guard case .string(let text) = value else {
            reader.report("archive_name", "must be a string")
            return nil
        }
        guard (1...128).contains(text.unicodeScalars.count) else {
            reader.report("archive_name", "must have 1 to 128 characters")
            return nil
        }
        // Of a name without a character that a file name may have the standard one is left.
        return ArchiveName.sanitised(text)
    }

    private static func policy(_ reader: inout RequestReader) -> MissingFilePolicy? {
        guard let value = reader.member("on_missing") else { return nil }
        guard case .string(let text) = value, let policy = MissingFilePolicy(rawValue: text) else {
            reader.report("on_missing", #"must be "skip" or "fail""#)
            return nil
        }
        return policy
    }

    private static func callbackURL(_ reader: inout RequestReader, _ webhooks: (any WebhookClient)?) -> String? {
        guard let value = reader.member("callback_url") else { return nil }
        guard case .string(let text) = value else {
            reader.report("callback_url", "must be a string")
            return nil
        }
        guard let webhooks else {
            reader.report("callback_url", "cannot be used: this host has no callbacks.secret")
            return nil
        }
        if let problem = webhooks.problem(with: text) {
            reader.report("callback_url", problem)
            return nil
        }
        return text
    }
}
