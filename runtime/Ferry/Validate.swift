import ArgumentParser
import Host

/// `ferry validate`: checks everything that a person writes, without building or starting anything.
struct Validate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check manifests, routes, handlers and the configuration.",
        discussion: """
            Prints every problem as file:line:column: reason, and exits with a status other than 0 when there is one; \
            warnings do not count.

            Examples:
              ferry validate
              ferry validate --functions ~/my-functions --config production.json
            """)

    @Option(name: .customLong("functions"), help: ArgumentHelp("The folder of functions.", valueName: "dir"))
    var functionsFolder = "functions"

    @Option(
        name: .customLong("config"),
        help: ArgumentHelp("The configuration; by default config.json, where there is one.", valueName: "file"))
    var configurationFile: String?

    func run() async throws {
        try await CommandFailure.reported {
            try await CommandFailure.reported {
                let functions = try await FunctionCheck.run(folder: functionsFolder)
                let problems = functions.problems.map(\.problem) + ConfigurationCheck.problems(file: configurationFile)
                for problem in problems { Terminal.output.problem(problem) }
                let count = problems.count { !$0.isWarning }
                guard count == 0 else {
                    Terminal.errors.line("\(count) \(count == 1 ? "problem" : "problems")")
                    throw ExitCode.failure
                }
                let noun = functions.count == 1 ? "function" : "functions"
                Terminal.output.line("\(functions.count) \(noun), no problems")
            }
        }
    }
}
