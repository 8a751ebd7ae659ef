import ArgumentParser
import Glibc
import Host

/// `ferry serve-function`: one function for a supervisor, which starts this and nobody else.
struct ServeFunction: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve-function", abstract: "Serve one function to the supervisor that started this.",
        shouldDisplay: false)

    @OptionGroup var folders: FolderOptions

    @Option(name: .customLong("config"))
    var configurationFile: String?

    @Option var module: String

    @Option var links: Int

    @Option var supervisor: Int32

    @Argument var function: String

    func validate() throws {
        guard (1...256).contains(links) else { throw ValidationError("--links must be 1 to 256.") }
    }

    func run() async throws {
        try await CommandFailure.reported {
            guard FunctionProcessHost.dieWithSupervisor(supervisor) else {
                throw CommandFailure("serve-function is started by ferry serve --isolate only")
            }
            let options = HostProcess.Options(
                functionsFolder: folders.functionsFolder, dataFolder: folders.dataFolder,
                configurationFile: configurationFile)
            try await FunctionProcessHost(function: function, module: module, linkCount: links, options: options).run()
        }
    }
}
