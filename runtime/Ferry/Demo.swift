import ArgumentParser
import AsyncHTTPClient
import Downloads
import Emulator
import Glibc
import Host

/// `ferry demo`: what `make run` runs: a host, sample files, and a first download.
struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve on the embedded default and run a first download.",
        discussion: """
            Puts three sample files into the local store, gathers them into one archive with a progress bar, and goes on \
            serving until Ctrl-C.

            Examples:
              ferry demo
              ferry demo --once
            """)

    @OptionGroup var options: ServeOptions

    @Flag(help: "Stop after the download; the exit status tells whether it succeeded.")
    var once = false

    func run() async throws {
        try await CommandFailure.reported {
            var host = try HostProcess(options.hostOptions())
            // The demo's own requests would bury its progress bar.
            host.configuration.http.accessLogLevel = nil
            guard host.configuration.storage.endpoint == nil else {
                throw CommandFailure("the demo puts its sample files into the local store, but storage.endpoint is set")
            }
            let once = once
            try await host.run { running in
                try await Demo.download(from: running)
                // The companion's end is the host's end.
                guard !once else { return }
                LogOutput.announce("Serving until Ctrl-C.")
                while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
            }
        }
    }

    private static func download(from running: HostProcess.Running) async throws {
        guard let localS3 = running.localS3, let address = running.addresses.first else { return }
        try SampleFiles.install(
            in: localS3.store, bucket: localS3.bucket, keyTemplate: running.configuration.downloads.sourceKey)
        let ids = SampleFiles.ids
        let url = address.url()
        let archive = running.dataFolder + "/demo.zip"
        LogOutput.announce("\nFirst download: \(ids.map(String.init).joined(separator: ", "))")
        let http = HTTPClient(eventLoopGroupProvider: .singleton)
        let result: Result<Void, any Error>
        do {
            let download = ArchiveDownload(
                client: DownloadClient(baseURL: url, token: nil, http: http), timeout: .seconds(120), output: archive)
            result = .success(try await download.run(ids, onMissing: "fail", archiveName: "ferry-demo"))
        } catch {
            result = .failure(Task.isCancelled ? CommandFailure("stopped before the download was complete") : error)
        }
        try? await http.shutdown()
        try result.get()
        LogOutput.announce(
            """

            The archive is \(archive). The same by hand:
              curl -X POST \(url)/v1/download/initiate -H 'content-type: application/json' -d '{"file_ids":\(ids)}'
              curl \(url)/v1/download/job/<jobId>
              curl \(url)/v1/download/job/<jobId>/download-url
              curl -o archive.zip '<downloadUrl>'
            or
              \(CommandLine.arguments.first ?? "ferry") download \(ids.map(String.init).joined(separator: " ")) --url \(url)
            A page for the browser is at \(url)/
            """)
    }
}
