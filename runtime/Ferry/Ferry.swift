import ArgumentParser
import Host

/// The tool. Each sub-command is a file of its own.
@main
struct Ferry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ferry",
        abstract: "A function host for long-running downloads.",
        discussion: """
            A function is a folder with a function.json and Swift files. Ferry compiles it, loads it, and calls it for \
            HTTP requests or for a queue's jobs and events.
            """,
        version: OpenAPIOptions.ferryVersion,
        subcommands: [
            Serve.self, Dev.self, Demo.self, Download.self, Watch.self, New.self, Build.self, List.self, Describe.self,
            Explain.self, Event.self, Invoke.self, Test.self, Replay.self, Logs.self, Doctor.self, Validate.self,
            Config.self, Queue.self, Dead.self, History.self, ExportSDK.self, S3.self, ServeFunction.self,
        ])
}
