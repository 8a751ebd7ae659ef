import ArgumentParser
import AsyncHTTPClient
import Glibc
import NIOCore
import ZipArchive

/// `ferry download`: orders an archive, shows the progress, fetches it and verifies it.
struct Download: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Gather files into one archive and fetch it.",
        discussion: """
            Orders the archive at a running host, follows the progress, fetches the archive by its presigned URL and
            checks its size and CRC-32. Exits with a status other than 0, and the reason, when anything fails.

            Examples:
              ferry download 70000 70001 70002
              ferry download 70000 70001 --url http://127.0.0.1:3000 --output files.zip
            """)

    @Argument(help: "The ids of the files, 1 to 1000 of them.")
    var ids: [Int64]

    @Option(help: "The host's address.")
    var url = "http://127.0.0.1:3000"

    @Option(name: [.short, .long], help: "Where the archive goes; by default <job id>.zip here.")
    var output: String?

    @Option(help: "What to do about files that cannot be had: skip or fail.")
    var onMissing: String?

    @Option(help: "The name that the archive carries in the store's answer.")
    var archiveName: String?

    @Option(help: "Give up when the archive is not ready after so many seconds.")
    var timeout = 600

    func validate() throws {
        guard !ids.isEmpty else { throw ValidationError("Give at least one file id.") }
        guard timeout > 0 else { throw ValidationError("--timeout must be at least 1.") }
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            throw ValidationError("--url must begin with http:// or https://.")
        }
    }

    func run() async throws {
        let http = HTTPClient(eventLoopGroupProvider: .singleton)
        do {
            let base = url.hasSuffix("/") ? String(url.dropLast()) : url
            try await fetch(with: DownloadClient(baseURL: base, http: http))
            try await http.shutdown()
        } catch {
            try? await http.shutdown()
            guard error is CommandFailure else { throw error }
            fputs("ferry download: \(error)\n", stderr)
            throw ExitCode.failure
        }
    }

    private func fetch(with client: DownloadClient) async throws {
        var display = ProgressDisplay()
        let accepted = try await client.initiate(ids, onMissing: onMissing, archiveName: archiveName)
        fputs("job \(accepted.jobId)\n", stderr)
        let job = try await follow(accepted.jobId, with: client, display: &display)
        display.finish()
        for file in job.filesProcessed where file.status == "failed" {
            fputs("left out: \(file.fileID): \(file.error ?? "no reason given")\n", stderr)
        }
        guard job.status == "ready" else {
            throw CommandFailure("the job ended as \(job.status)\(job.error.map { ": \($0)" } ?? "")")
        }

        let link = try await client.link(accepted.jobId)
        let path = output ?? "\(accepted.jobId).zip"
        let response = try await client.open(link.downloadUrl)
        let file = try VerifiedFile(path: path)
        do {
            for try await chunk in response.body {
                try file.write(chunk)
                display.show(
                    fraction: link.fileSize == 0 ? 1 : Double(file.sizeBytes) / Double(link.fileSize),
                    label: "download",
                    text: "\(ProgressDisplay.size(file.sizeBytes)) of \(ProgressDisplay.size(link.fileSize))")
            }
            display.finish()
            try file.commit(sizeBytes: link.fileSize, crc32: link.checksum.value)
        } catch let error as CommandFailure {
            throw error
        } catch {
            throw CommandFailure("the archive stopped after \(file.sizeBytes) of \(link.fileSize) bytes: \(error)")
        }
        print("\(path)  \(link.fileSize) bytes  crc32 \(link.checksum.value)  verified")
    }

    /// Polls the job until it has ended, more slowly while nothing changes.
    private func follow(
        _ id: String, with client: DownloadClient, display: inout ProgressDisplay
    ) async throws -> DownloadClient.Job {
        let deadline = ContinuousClock.now + .seconds(timeout)
        var pause = Duration.milliseconds(100)
        while true {
            let job = try await client.job(id)
            display.show(job)
            if ["ready", "failed", "expired", "cancelled"].contains(job.status) { return job }
            guard .now < deadline else {
                throw CommandFailure(
                    "the job is still \(job.status) after \(timeout) s; it goes on: \(url)/v1/download/job/\(id)")
            }
            try await Task.sleep(for: pause)
            pause = min(pause * 1.5, .seconds(1))
        }
    }
}
