import ArgumentParser
import FunctionKit
import Host

/// `ferry event`: a sample of what calls a function.
struct Event: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a sample invocation of a function.",
        discussion: """
            Prints JSON in the form of the function's trigger: a request, a job, an event of a queue or a tick.

            Examples:
              ferry event status
              ferry event process | jq .data
            """)

    @Argument(help: "The function's name.", completion: FunctionNames.completion)
    var name: String

    @Option(name: .customLong("functions"), help: ArgumentHelp("The folder of functions.", valueName: "dir"))
    var functionsFolder = "functions"

    func run() async throws {
        try await CommandFailure.reported {
            let manifest = try FunctionDetail.manifest(of: name, in: functionsFolder)
            let sample = try FunctionSample(manifest.trigger, maxAttempts: manifest.retry.attempts, at: .now)
            Terminal.output.line(String(sample.text.dropLast()))
        }
    }
}
