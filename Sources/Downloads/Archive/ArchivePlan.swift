internal import FunctionKit
internal import ZipArchive

/// What is known of each file before the first one is read.
///
/// All files are asked for first: so the size of the whole is known for progress and for the size of the parts, and a
/// job whose files are missing fails before anything is uploaded.
struct ArchivePlan: Sendable {
    struct File: Sendable {
        let source: ArchiveSource
        /// The name in the archive.
        let name: String
        let found: Finding
    }

    enum Finding: Sendable {
        case present(ObjectInfo)
        case absent(message: String, class: ErrorClass)
    }

    let files: [File]

    static let manifestName = "_manifest.json"
    static let missingMessage = "The file does not exist."

    static func unreadableMessage(_ errorClass: ErrorClass) -> String {
        "The file could not be read (\(errorClass.rawValue))."
    }

    /// The bytes of the files that are there.
    var totalBytes: Int64 {
        files.reduce(0) { sum, file in
            if case .present(let info) = file.found { sum + info.sizeBytes } else { sum }
        }
    }

    /// About the size of the archive: headers, directory and manifest are estimated generously.
    var archiveBytes: Int64 {
        files.reduce(totalBytes) { $0 + 512 + 4 * Int64($1.name.utf8.count) }
    }

    /// Asks the store for every file.
    ///
    /// - Throws: `Permanent` when files are missing and the request wants all, or when there is none at all; the store's
    ///   error when a file could not be asked for and may not be left out.
    static func survey(
        _ request: ArchiveRequest, store: any ObjectStore, concurrency: Int
    ) async throws -> ArchivePlan {
        let findings = try await findings(request, store: store, concurrency: max(1, concurrency))
        try Task.checkCancellation()
        var names = ZipNames(reserved: [manifestName])
        let files = zip(request.sources, findings).map { source, found in
            File(source: source, name: names.assign(source.name), found: found)
        }
        let absent = files.filter { if case .absent = $0.found { true } else { false } }
        if !absent.isEmpty, request.onMissing == .fail || absent.count == files.count {
            throw failure(absent, of: files.count)
        }
        guard !files.isEmpty else { throw Permanent("No file was asked for.", class: .validation) }
        return ArchivePlan(files: files)
    }

    private static func findings(
        _ request: ArchiveRequest, store: any ObjectStore, concurrency: Int
    ) async throws -> [Finding] {
        let mayLeaveOut = request.isLastAttempt && request.onMissing == .skip
        var findings: [Int: Finding] = [:]
        try await withThrowingTaskGroup(of: (Int, Finding).self) { group in
            var running = 0
            for (index, source) in request.sources.enumerated() {
                if running == concurrency, let (index, finding) = try await group.next() {
                    findings[index] = finding
                    running -= 1
                }
                running += 1
                group.addTask {
                    do {
                        guard let info = try await store.head(source.key) else {
                            return (index, .absent(message: missingMessage, class: .validation))
                        }
                        return (index, .present(info))
                    } catch  where mayLeaveOut && !Task.isCancelled {
                        let errorClass = ErrorClass(of: error)
                        return (index, .absent(message: unreadableMessage(errorClass), class: errorClass))
                    }
                }
            }
            for try await (index, finding) in group { findings[index] = finding }
        }
        return request.sources.indices.compactMap { findings[$0] }
    }

    private static func failure(_ absent: [File], of count: Int) -> Permanent {
        let shown = absent.prefix(20).map { file in
            if case .absent(let message, _) = file.found { "\(file.source.fileID): \(message)" } else { "" }
        }
        let classes = Set(
            absent.compactMap { file -> ErrorClass? in
                if case .absent(_, let errorClass) = file.found { errorClass } else { nil }
            })
        let more = absent.count > shown.count ? " …" : ""
        return Permanent(
            "\(absent.count) of \(count) files could not be had. " + shown.joined(separator: " ") + more,
            class: classes.count == 1 ? classes.first ?? .unknown : .storage)
    }
}
