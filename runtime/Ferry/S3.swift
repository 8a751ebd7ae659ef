import ArgumentParser
import Emulator
import FunctionKit
import Logging
import NIOPosix
import ServiceLifecycle
import UnixSignals

/// `ferry s3`: the local S3 endpoint alone, for tests and for tools that want one.
struct S3: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "s3",
        abstract: "Serves a data directory's S3 endpoint and nothing else.",
        discussion: """
            Prints one line of JSON with the endpoint and its credentials, then serves until it is interrupted. When \
            another host serves the data directory already, it waits and takes over from it.
            """,
        shouldDisplay: false)

    @Option(help: "The data directory.")
    var data: String = ".ferry"

    @Option(help: "The address to listen on; for 127.0.0.1 ::1 too.")
    var host: String = "127.0.0.1"

    @Option(help: "The port; 0 for the one of the last time, and any free one the first time.")
    var port: Int = 0

    @Option(help: "A bucket to make where it is missing.")
    var bucket: String = "ferry"

    @Option(help: "The region that clients sign for.")
    var region: String = "us-east-1"

    @Flag(help: "Put three sample files into the bucket.")
    var samples = false

    mutating func validate() throws {
        guard (0...65_535).contains(port) else { throw ValidationError("--port must be 0 to 65535, not \(port).") }
    }

    mutating func run() async throws {
        var logger = Logger(label: "ferry.s3") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        let endpoint = try LocalS3(
            dataFolder: data, host: host, port: port, bucket: bucket, region: region, logger: logger,
            group: MultiThreadedEventLoopGroup.singleton)
        if samples { try SampleFiles.install(in: endpoint.store, bucket: bucket) }
        let services = ServiceGroup(
            configuration: .init(
                services: [.init(service: endpoint), .init(service: Announcement(endpoint: endpoint))],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        try await services.run()
    }

    /// Prints the line as soon as the endpoint answers, then waits for the end.
    private struct Announcement: Service {
        let endpoint: LocalS3

        func run() async throws {
            _ = try await endpoint.waitUntilServing()
            Terminal.output.line(try JSON.text(endpoint.description))
            try await gracefulShutdown()
        }
    }
}
