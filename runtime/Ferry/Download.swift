import ArgumentParser
import AsyncHTTPClient

/// What becomes of an archive when a file cannot be had.
enum OnMissing: String, ExpressibleByArgument, CaseIterable {
    case skip
    case fail
}

/// `ferry download`: orders an archive, shows the progress, fetches it and verifies it.
struct Download: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Gather files into one archive and fetch it.",
        discussion: """
            Orders the archive at a running host, follows the progress, fetches the archive by its presigned URL and \
            checks its size and CRC-32. Exits with a status other than 0, and the reason, when anything fails.

            Examples:
              ferry download 70000 70001 70002
              ferry download 70000 70001 --url http://127.0.0.1:3000 --output files.zip
              ferry download 70000 --url https://downloads.example.org --token-file ~/.ferry-token
            """)

    @Argument(help: "The ids of the files, 1 to 1000 of them.")
    var ids: [Int64]

    @Option(help: "The host's address.")
    var url = "http://127.0.0.1:3000"

    @Option(name: [.short, .long], help: "Where the archive goes; by default <job id>.zip here.")
    var output: String?

    @Option(help: "What to do about files that cannot be had.")
    var onMissing: OnMissing?

    @Option(help: "The name that the archive carries in the store's answer.")
    var archiveName: String?

    @Option(help: "Give up when the archive is not ready after so many seconds.")
    var timeout = 600

    @OptionGroup var credentials: TokenOptions

    func validate() throws {
        guard !ids.isEmpty else { throw ValidationError("Give at least one file id.") }
        guard timeout > 0 else { throw ValidationError("--timeout must be at least 1.") }
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            throw ValidationError("--url must begin with http:// or https://.")
        }
    }

    func run() async throws {
        try await CommandFailure.reported {
            let token = try credentials.secret()
            let http = HTTPClient(eventLoopGroupProvider: .singleton)
            let base = url.hasSuffix("/") ? String(url.dropLast()) : url
            let download = ArchiveDownload(
                client: DownloadClient(baseURL: base, token: token, http: http), timeout: .seconds(timeout),
                output: output)
            let result: Result<Void, any Error>
            do {
                let (ids, onMissing, archiveName) = (ids, onMissing?.rawValue, archiveName)
                try await Interruption.stops {
                    try await download.run(ids, onMissing: onMissing, archiveName: archiveName)
                }
                result = .success(())
            } catch {
                result = .failure(error)
            }
            try? await http.shutdown()
            try result.get()
        }
    }
}
