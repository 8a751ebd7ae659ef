import AsyncHTTPClient
import Glibc
import NIOCore

/// Orders an archive, follows its job, fetches it and verifies it.
struct ArchiveDownload {
    let client: DownloadClient
    /// How long the job may take.
    let timeout: Duration
    /// Where the archive goes; `<job id>.zip` in the working folder when `nil`.
    let output: String?

    func run(_ ids: [Int64], onMissing: String?, archiveName: String?) async throws {
        if let output { try VerifiedFile.check(path: output) }
        var display = ProgressDisplay()
        defer { display.finish() }
        let accepted = try await client.initiate(ids, onMissing: onMissing, archiveName: archiveName)
        LogOutput.write("job \(accepted.jobId)\n", to: STDERR_FILENO)
        let job = try await follow(accepted.jobId, display: &display)
        display.finish()
        for file in job.filesProcessed where file.status == "failed" {
            LogOutput.write(
                "left out: \(file.fileID): \(Terminal.plain(file.error ?? "no reason given"))\n", to: STDERR_FILENO)
        }
        guard job.status == "ready" else {
            let reason = job.error.map { ": \(Terminal.plain($0))" } ?? ""
            throw CommandFailure("the job ended as \(Terminal.plain(job.status))\(reason)")
        }
        let path = output ?? "\(accepted.jobId).zip"
        let link = try await client.link(accepted.jobId)
        try await fetch(link, to: path, display: &display)
        display.finish()
        LogOutput.announce("\(path)  \(link.fileSize) bytes  crc32 \(link.checksum.value)  verified")
    }

    private func fetch(_ link: DownloadClient.Link, to path: String, display: inout ProgressDisplay) async throws {
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
        } catch let error as CommandFailure {
            throw error
        } catch {
            throw CommandFailure("the archive stopped after \(file.sizeBytes) of \(link.fileSize) bytes: \(error)")
        }
        try file.commit(sizeBytes: link.fileSize, crc32: link.checksum.value)
    }

    /// Polls the job until it has ended, more slowly while nothing changes.
    private func follow(_ id: String, display: inout ProgressDisplay) async throws -> DownloadClient.Job {
        let deadline = ContinuousClock.now + timeout
        var pause = Duration.milliseconds(100)
        while true {
            let job = try await client.job(id)
            display.show(job)
            if ["ready", "failed", "expired", "cancelled"].contains(job.status) { return job }
            guard .now < deadline else {
                throw CommandFailure(
                    "the job is still \(job.status) after \(timeout); it goes on: "
                        + "\(client.baseURL)/v1/download/job/\(id)")
            }
            try await Task.sleep(for: pause)
            pause = min(pause * 1.5, .seconds(1))
        }
    }
}
