import ArgumentParser
import Host

/// `ferry build`: compiles functions whose modules are missing or out of date.
struct Build: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compile functions.",
        discussion: """
            Compiles each function to a module in the data folder, unless it is there already. A module is good for the \
            compiler and the Ferry that it was built with; after a change of either, build again. Exits with a status \
            other than 0 when a function has a problem; the others are built all the same.

            The modules that functions are compiled against are found beside the executable or in its prefix; the \
            environment variable FERRY_SDK names another folder.

            Examples:
              ferry build
              ferry build status initiate
              ferry build --functions ~/my-functions --data /var/lib/ferry
            """)

    @Argument(help: "The functions to build; all by default.", completion: FunctionNames.completion)
    var names: [String] = []

    @OptionGroup var folders: FolderOptions

    func run() async throws {
        try await CommandFailure.reported {
            try await CommandFailure.reported {
                let outcomes = try await FunctionBuild.run(
                    folder: folders.functionsFolder, only: names.isEmpty ? nil : names, dataFolder: folders.dataFolder)
                let output = Terminal.output
                let errors = Terminal.errors
                for outcome in outcomes {
                    for warning in outcome.warnings { errors.problem(warning) }
                    if let module = outcome.module {
                        output.line("\(outcome.function): \(outcome.isNew ? "built" : "unchanged") \(module)")
                    } else {
                        for problem in outcome.problems { errors.problem(problem.problem) }
                    }
                }
                let failed = outcomes.filter { $0.module == nil }
                guard failed.isEmpty else {
                    errors.line("not built: \(failed.map(\.function).joined(separator: ", "))")
                    throw ExitCode.failure
                }
            }
        }
    }
}
