import ArgumentParser
import FunctionKit
import Host
import Logging

/// `ferry doctor`: looks at everything that a host needs.
struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check what a host needs, and say how to mend it.",
        discussion: """
            Looks at the compiler, the libraries, the functions, the configuration, Redis, the S3 store (an object is \
            written, read by a presigned URL and deleted), the clocks, who may call and who may read the secrets, the \
            certificate's end, and the limit of open files. Each check has 5 s. \
            Of the embedded default it looks at what runs; nothing is started.

            The exit status is 1 when something failed; warnings do not count.

            Examples:
              ferry doctor
              ferry doctor --config production.json
              REDIS_URL=redis://cache/2 ferry doctor --json
            """)

    @Flag(help: "Print a JSON array.")
    var json = false

    @Option(
        name: .customLong("config"),
        help: ArgumentHelp("The configuration; by default config.json, where there is one.", valueName: "file"))
    var configurationFile: String?

    @OptionGroup var folders: FolderOptions

    func run() async throws {
        try await CommandFailure.reported {
            let findings = await findings()
            let output = Terminal.output
            if json {
                output.line(try JSON.text(findings))
            } else {
                let width = findings.map(\.check.count).max() ?? 0
                for finding in findings {
                    let status = output.coloured(finding.status.rawValue.padded(to: 7), finding.colour)
                    output.line("\(status)  \(finding.check.padded(to: width))  \(Terminal.plain(finding.detail))")
                    guard let mend = finding.mend else { continue }
                    output.line(String(repeating: " ", count: width + 11) + "-> " + Terminal.plain(mend))
                }
            }
            if findings.contains(where: { $0.status == .failed }) { throw ExitCode.failure }
        }
    }

    private func findings() async -> [Finding] {
        let (functions, data) = (folders.functionsFolder, folders.dataFolder)
        var findings = await Self.within("compiler") { await HostCheck.toolchain(data) }
        findings += await Self.within("functions") { await HostCheck.functions(functions) }
        let configuration: Configuration
        do {
            configuration = try Configuration.load(
                file: configurationFile, environment: EnvironmentVariable.values())
            findings.append(.ok("configuration", "no problems"))
        } catch {
            return findings + [
                .failed("configuration", "\(error)", mend: "see docs/configuration.md, and run it again")
            ]
        }
        LogOutput.bootstrap(Configuration.Log(level: .critical))
        findings += await Self.within("security") {
            SecurityCheck(configuration: configuration, dataFolder: data).findings()
        }
        findings += await Self.within("redis") { await RedisCheck(configuration, data).findings() }
        findings += await Self.within("storage") { await StorageCheck(configuration, data).findings() }
        findings.append(HostCheck.openFiles(configuration))
        return findings
    }

    /// Runs a check; one that takes longer than 5 s is cancelled and has failed.
    private static func within(
        _ check: String, _ work: @escaping @Sendable () async -> [Finding]
    ) async -> [Finding] {
        await withTaskGroup(of: [Finding]?.self) { group in
            group.addTask { await work() }
            group.addTask {
                try? await Task.sleep(for: .seconds(5))
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first ?? [.failed(check, "no answer within 5 s", mend: "look whether it hangs or is overloaded")]
        }
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
