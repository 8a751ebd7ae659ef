import ArgumentParser
import AsyncHTTPClient
import Host
import NIOCore
import NIOPosix
import NIOSSL

/// `ferry watch`: follows a job to its end.
struct Watch: AsyncParsableCommand {
    /// The transports by their names; `auto` is the best that works.
    enum Transport: String, ExpressibleByArgument, CaseIterable {
        case auto
        case websocket
        case sse
        case polling
    }

    static let configuration = CommandConfiguration(
        abstract: "Follow a job until it has ended.",
        discussion: """
            Shows the job's progress as it is made: over a WebSocket, over server-sent events where a proxy lets no \
            WebSocket through, by polling where it holds events back. A connection that breaks, or a host that restarts, \
            is no matter: the watcher comes back and goes on behind the last message.

            Exits with 0 when the archive is ready; with 1, and the reason, when the job failed, was cancelled or has \
            expired, is not known, or cannot be followed; with 130 after Ctrl-C. The job goes on in any case.

            Examples:
              ferry watch 0b5ad29e-5a0c-4c1e-9c9b-1c1f9a1f2f10
              ferry watch "$id" --url https://downloads.example.org --transport sse
              ferry watch "$id" --json | jq -r .type
              FERRY_TOKEN=$(cat ~/.ferry-token) ferry watch "$id"
            """)

    @Argument(help: ArgumentHelp("The job's id.", valueName: "job-id"))
    var id: String

    @Option(help: "The host's address.")
    var url = "http://127.0.0.1:3000"

    @Option(help: "How to follow: \(Transport.allCases.map(\.rawValue).joined(separator: ", ")).")
    var transport = Transport.auto

    @Flag(help: "Print each message as a line of JSON instead of a progress bar.")
    var json = false

    @Option(help: ArgumentHelp("Give up when the host is silent for so many seconds.", valueName: "seconds"))
    var patience = 300

    @Option(help: ArgumentHelp("Trust the certificates of this PEM file, instead of the system's.", valueName: "file"))
    var caFile: String?

    @OptionGroup var credentials: TokenOptions

    func validate() throws {
        guard HostAddress(url) != nil else {
            throw ValidationError("--url must be of the form http://host:port or https://host:port.")
        }
        guard patience > 0 else { throw ValidationError("--patience must be at least 1.") }
        let isPlain = id.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard isPlain, !id.isEmpty else { throw ValidationError("\(id) is no job id.") }
    }

    func run() async throws {
        try await CommandFailure.reported {
            guard let address = HostAddress(url) else { return }
            let token = try credentials.secret()
            var tls = TLSConfiguration.makeClientConfiguration()
            if let caFile { tls.trustRoots = .file(caFile) }
            let (id, json) = (id, json)
            let context: NIOSSLContext?
            do {
                context = address.isSecure ? try NIOSSLContext(configuration: tls) : nil
            } catch {
                throw CommandFailure("the certificates\(caFile.map { " of \($0)" } ?? "") cannot be used: \(error)")
            }
            var settings = HTTPClient.Configuration(
                tlsConfiguration: tls,
                timeout: .init(connect: SocketUpgrade.connectTimeout, read: SocketUpgrade.silenceTimeout))
            settings.connectionPool.retryConnectionEstablishment = false
            let http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
            let course = WatchCourse(
                transport: WatchTransport(rawValue: transport.rawValue), patience: .seconds(patience), now: .now)
            let result: Result<Void, any Error>
            do {
                try await Interruption.stops {
                    let upgrade = SocketUpgrade(
                        address: address, token: token, tls: context, group: MultiThreadedEventLoopGroup.singleton)
                    var watcher = JobWatcher(
                        id: id, upgrade: upgrade, http: http, course: course, printsMessages: json)
                    let (outcome, job) = try await watcher.run()
                    try Self.report(outcome, job, id: id, isQuiet: json)
                }
                result = .success(())
            } catch {
                result = .failure(error)
            }
            try? await http.shutdown()
            try result.get()
        }
    }

    private static func report(
        _ outcome: WatchOutcome, _ job: DownloadClient.Job?, id: String, isQuiet: Bool
    ) throws {
        switch outcome {
        case .ready:
            guard !isQuiet else { return }
            let size = job.map { "  \(ProgressDisplay.size($0.progress.bytes))" } ?? ""
            let files = job.map { "  \($0.progress.current) files" } ?? ""
            LogOutput.announce("\(id)  ready\(files)\(size)")
        case .failed(let reason): throw CommandFailure("the job failed: \(Terminal.plain(reason))")
        case .cancelled: throw CommandFailure("the job was cancelled")
        case .expired: throw CommandFailure("the job's archive has expired")
        }
    }
}
