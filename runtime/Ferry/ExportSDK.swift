import ArgumentParser
import Host

/// `ferry export-sdk`: used by `make install`.
struct ExportSDK: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export-sdk",
        abstract: "Copy the modules that functions are compiled against to a folder.",
        discussion: """
            Copies what this Ferry needs to compile functions, so that it works without its build folder.

            Example:
              ferry export-sdk /usr/local/lib/ferry
            """,
        shouldDisplay: false)

    @Argument(help: "The folder to copy to: PREFIX/lib/ferry for PREFIX/bin/ferry.")
    var folder: String

    func run() async throws {
        try FunctionSDK.locate().copy(to: folder)
    }
}
