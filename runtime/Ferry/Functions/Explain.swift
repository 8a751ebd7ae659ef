import ArgumentParser
import FunctionKit
import Host

/// `ferry explain`: which function answers, why, and what happens when it does not go well.
struct Explain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Explain what a request, a queue or a schedule calls.",
        discussion: """
            Asks the router that serves: which function answers, which routes match too and why they do not answer, the \
            parameters' values, the limits, and what happens on each failure. For a queue name it with --on; for a \
            schedule name its function. Exits with a status other than 0 when nothing is called.

            Examples:
              ferry explain "POST /v1/download/initiate"
              ferry explain "GET /v1/download/job/42" --json
              ferry explain file-downloads --on process
              ferry explain expire
            """)

    @Argument(
        help: ArgumentHelp(
            "\"METHOD /path\", a queue's name with --on, or the name of a function with a schedule.",
            valueName: "target"),
        completion: FunctionNames.completion)
    var target: String

    @Option(
        help: ArgumentHelp("process, progress, completed or failed, of a queue.", valueName: "moment"),
        completion: .list(FunctionManifest.QueueMoment.allCases.map(\.rawValue)))
    var on: String?

    @Flag(help: "Print a JSON object.")
    var json = false

    @Option(name: .customLong("functions"), help: ArgumentHelp("The folder of functions.", valueName: "dir"))
    var functionsFolder = "functions"

    func validate() throws {
        if let on, FunctionManifest.QueueMoment(rawValue: on) == nil {
            throw ValidationError("--on must be process, progress, completed or failed, not \(on).")
        }
    }

    func run() async throws {
        try await CommandFailure.reported {
            let catalog = try FunctionCatalog.read(functionsFolder)
            for problem in catalog.problems { Terminal.errors.problem(problem.problem) }
            let answer = try explanation(catalog.manifests)
            if json {
                Terminal.output.line(try JSON.text(answer))
            } else {
                answer.print()
            }
            if answer.functions.isEmpty, !answer.isHost { throw ExitCode.failure }
        }
    }

    private func explanation(_ manifests: [String: FunctionManifest]) throws -> ExplainedCall {
        if let moment = on.flatMap(FunctionManifest.QueueMoment.init) {
            let names = manifests.filter { $0.value.trigger == .queue(name: target, on: moment) }.keys.sorted()
            return ExplainedCall(queue: target, on: moment, names, manifests)
        }
        if target.contains("/") {
            let parts = target.split(separator: " ")
            guard parts.count == 2, parts[1].hasPrefix("/") else {
                throw CommandFailure("write a request as \"METHOD /path\", such as \"GET /health\"")
            }
            let (method, path) = (String(parts[0]), String(parts[1]))
            return ExplainedCall(
                request: target, try RouteExplanation(method: method, path: path, manifests: manifests), manifests)
        }
        if let manifest = manifests[target], case .schedule(let pattern, let zone) = manifest.trigger {
            return ExplainedCall(schedule: target, manifest, pattern, zone)
        }
        let known = manifests.filter { if case .schedule = $0.value.trigger { true } else { false } }.keys.sorted()
        throw CommandFailure(
            """
            \"\(target)\" is no request and no function with a schedule (those are: \
            \(known.isEmpty ? "none" : known.joined(separator: ", "))). Write a request as "METHOD /path"; for a queue \
            add --on.
            """)
    }
}
