import ArgumentParser
import Host

/// `ferry serve`: loads the functions and serves their routes and queues.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve functions.",
        discussion: """
            Builds what is not built, loads the functions and serves them until SIGTERM or Ctrl-C; then it drains: \
            requests in flight are answered, running jobs end or go back to their queue. Without a configuration it \
            runs a private redis-server, an S3 endpoint over files and a SQLite history in the data folder; several \
            hosts may share one.

            A function that does not compile, or whose manifest is wrong, is reported; the others are served.

            Examples:
              ferry serve
              ferry serve --only status,download-url --listen 127.0.0.1:3001
              ferry serve --isolate
              ferry serve --functions ~/functions --config my.json --data /var/lib/ferry
              REDIS_URL=redis://cache/2 ferry serve --listen unix:/run/ferry.sock
            """)

    @OptionGroup var options: ServeOptions

    @Flag(
        help: ArgumentHelp(
            "Run each function in processes of its own, started when it is called and stopped when it is idle."))
    var isolate = false

    func run() async throws {
        try await CommandFailure.reported {
            var host = options.hostOptions()
            host.isIsolated = isolate
            try await HostProcess(host).run()
        }
    }
}

/// The options of the commands that run a host.
struct ServeOptions: ParsableArguments {
    @OptionGroup var folders: FolderOptions

    @Option(name: .customLong("config"), help: ArgumentHelp("The configuration file.", valueName: "file"))
    var configurationFile: String?

    @Option(help: ArgumentHelp("Load only these functions, separated by commas.", valueName: "names"))
    var only: String?

    @Option(
        help: ArgumentHelp(
            "Where to listen: host:port, [v6]:port or unix:PATH; may be given several times. Port 0: any free one.",
            valueName: "address"))
    var listen: [String] = []

    func validate() throws {
        for text in listen where ListenAddress(text) == nil {
            throw ValidationError("--listen \(text) is not of the form host:port, [v6]:port or unix:PATH.")
        }
        if let only, only.split(separator: ",").isEmpty { throw ValidationError("--only names no function.") }
    }

    func hostOptions() -> HostProcess.Options {
        HostProcess.Options(
            functionsFolder: folders.functionsFolder, dataFolder: folders.dataFolder,
            configurationFile: configurationFile,
            only: only?.split(separator: ",").map { $0.filter { $0 != " " } },
            listen: listen.isEmpty ? nil : listen.compactMap { ListenAddress($0) })
    }
}
