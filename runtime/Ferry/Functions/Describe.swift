import ArgumentParser
import FunctionKit
import Host

/// `ferry describe`: everything of one function.
struct Describe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show one function.",
        discussion: """
            Shows what calls the function, its handler, each value of its manifest (with the defaults marked), how its \
            jobs are tried again, and whether it is built.

            Examples:
              ferry describe status
              ferry describe process --json | jq .values.retry
            """)

    @Argument(help: "The function's name.", completion: FunctionNames.completion)
    var name: String

    @Flag(help: "Print a JSON object.")
    var json = false

    @OptionGroup var folders: FolderOptions

    func run() async throws {
        try await CommandFailure.reported {
            let detail = try await FunctionDetail.read(
                name, in: folders.functionsFolder, dataFolder: folders.dataFolder)
            let item = Item(detail)
            let output = Terminal.output
            if json {
                output.line(try JSON.text(item))
                return
            }
            let place = detail.handlerFile.map { " (\($0):\(detail.handlerLine ?? 1))" } ?? ""
            var rows = [("name", item.name), ("trigger", item.trigger), ("calls", item.target)]
            rows.append(("handler", (item.handler ?? "-") + place))
            let told = [
                ("description", item.description), ("request", item.request), ("responses", item.responses),
                ("messages", item.messages),
            ]
            rows += told.compactMap { key, value in value.map { (key, $0) } }
            rows += item.values.sorted { $0.key < $1.key }.map { key, value in
                (key, value.isDefault ? "\(value.value) (default)" : value.value)
            }
            rows += [("manifest", item.manifest), ("state", item.state.rawValue), ("module", item.module ?? "-")]
            let width = rows.map(\.0.count).max() ?? 0
            for (key, value) in rows {
                output.line(key + String(repeating: " ", count: width - key.count + 2) + Terminal.plain(value))
            }
            if let problem = detail.problem { Terminal.errors.problem(problem) }
        }
    }

    /// The function in JSON.
    private struct Item: Encodable {
        let name: String
        let trigger: String
        let target: String
        let handler: String?
        let handlerFile: String?
        let handlerLine: Int?
        let description: String?
        let request: String?
        let responses: String?
        let messages: String?
        let manifest: String
        let values: [String: ManifestValues.Value]
        let state: FunctionListing.State
        let module: String?
        let problem: String?

        init(_ detail: FunctionDetail) {
            name = detail.name
            (trigger, target) = ManifestValues.target(detail.manifest.trigger)
            (handler, handlerFile, handlerLine) = (detail.handler, detail.handlerFile, detail.handlerLine)
            let interface = detail.manifest.interface
            description = detail.manifest.description
            (request, responses) = (interface.requestSummary, interface.answersSummary)
            messages = interface.messagesSummary
            manifest = detail.manifestFile
            values = ManifestValues.values(detail.manifest, given: detail.givenKeys)
            (state, module, problem) = (detail.state, detail.module, detail.problem?.description)
        }
    }
}
