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
    /// - Throws: `Permanent` when no file was asked for; the store's error when a file could not be asked for and may not
    ///   be left out.
    static func survey(
        _ request: ArchiveRequest, store: any ObjectStore, concurrency: Int
    ) async throws -> ArchivePlan {
        let findings = try await findings(request, store: store, concurrency: max(1, concurrency))
        try Task.checkCancellation()
        var names = ZipNames(reserved: [manifestName])
        let files = zip(request.sources, findings).map { source, found in
            File(source: source, name: names.assign(source.name), found: found)
        }
        guard !files.isEmpty else { throw Permanent("No file was asked for.", class: .validation) }
        return ArchivePlan(files: files)
    }

    /// The results of the files that are not there, in the order asked for.
    var absent: [ArchivedFile] {
        files.enumerated().compactMap { position, file in
            guard case .absent(let message, let errorClass) = file.found else { return nil }
            return file.result(position, error: message, class: errorClass)
        }
    }

    /// Why there can be no archive: files are missing and the request wants all, or there is none at all.
    func failure(_ onMissing: MissingFilePolicy) -> Permanent? {
        let absent = absent
        guard !absent.isEmpty, onMissing == .fail || absent.count == files.count else { return nil }
        let shown = absent.prefix(20).map { "\($0.fileID): \($0.error ?? "")" }.joined(separator: " ")
        let classes = Set(absent.compactMap(\.errorClass))
        return Permanent(
            "\(absent.count) of \(files.count) files could not be had. \(shown)" + (absent.count > 20 ? " …" : ""),
            class: classes.count == 1 ? classes.first ?? .unknown : .storage)
    }

    private static func findings(
        _ request: ArchiveRequest, store: any ObjectStore, concurrency: Int
    ) async throws -> [Finding] {
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
                    } catch  where request.leavesOut(ErrorClass(of: error)) && !Task.isCancelled {
                        let errorClass = ErrorClass(of: error)
                        return (index, .absent(message: unreadableMessage(errorClass), class: errorClass))
                    }
                }
            }
            for try await (index, finding) in group { findings[index] = finding }
        }
        return request.sources.indices.compactMap { findings[$0] }
    }
}
