import ArgumentParser
import Downloads
import Emulator
import Glibc
import Host
import Logging
import NIOPosix

/// `ferry dev`: serves as `ferry serve` does, and reloads what is saved.
struct Dev: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve functions and reload them when they are saved.",
        discussion: """
            Serves like "ferry serve", on the embedded default with three sample files, and watches the functions and the \
            configuration. A saved function is compiled and swapped without losing a request: what runs ends on the old \
            code. One that does not compile is shown with file, line and caret, and its last good version goes on. Each \
            invocation is a line: id, function, status or outcome, wait and run time, cold or warm.

            Keys on a terminal: r reload all, l list, q quit, h help.

            Examples:
              ferry dev
              ferry dev --strict-reload
              ferry dev --only hello --listen 127.0.0.1:8080 --functions ~/functions
            """)

    @OptionGroup var options: ServeOptions

    @Flag(help: "Answer 500 with the error where a function does not load, in place of its last good version.")
    var strictReload = false

    func run() async throws {
        try await CommandFailure.reported {
            let terminal = Terminal.output
            let console = DevConsole()
            var hostOptions = options.hostOptions()
            hostOptions.loading.isQuick = true
            hostOptions.isStrict = strictReload
            hostOptions.isReported = false
            var host = try Dev.host(hostOptions)
            host.options.observe = { [logFile = host.logFile] report in
                console.line(report.line(on: terminal))
                logFile?.append(report.logLine)
            }
            console.line("loading functions of \(hostOptions.functionsFolder)")
            try await withThrowingTaskGroup(of: Void.self) { [host] group in
                group.addTask { await console.run() }
                defer { console.finish() }
                try await host.run { [hostOptions = host.options, logger = host.logger] running in
                    try await Dev.work(
                        Reloader(
                            running: running, options: hostOptions, console: console, terminal: terminal,
                            logger: logger
                        ) { try Dev.adjusted(HostProcess.loadConfiguration(hostOptions)) },
                        running, hostOptions, console)
                }
            }
        }
    }

    /// The lines of invocations stand for the access log.
    private static func adjusted(_ configuration: Configuration) -> Configuration {
        var configuration = configuration
        configuration.http.accessLogLevel = nil
        return configuration
    }

    private static func host(_ options: HostProcess.Options) throws -> HostProcess {
        var host = try HostProcess(options)
        host.configuration = adjusted(host.configuration)
        return host
    }

    private static func work(
        _ reloader: Reloader, _ running: HostProcess.Running, _ options: HostProcess.Options, _ console: DevConsole
    ) async throws {
        if let localS3 = running.localS3 {
            let template = running.configuration.downloads.sourceKey
            _ = try await NIOThreadPool.singleton.runIfActive {
                try SampleFiles.install(in: localS3.store, bucket: localS3.bucket, keyTemplate: template)
            }
        }
        reloader.list()
        if let admin = running.admin { console.line("admin on \(admin.url())") }
        let sink = reloader.sink
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                let watcher = FolderWatcher(
                    functionsFolder: options.functionsFolder,
                    configurationFile: options.configurationFile ?? "config.json")
                do {
                    try await watcher.run { event in
                        switch event {
                        // What was saved since the start's loading.
                        case .began: sink(.changed(WatchedChange(isWhole: true)))
                        case .changed(let change): sink(.changed(change))
                        case .failed(let reason): console.line("not watched: \(reason)")
                        }
                    }
                } catch  where !Task.isCancelled {
                    console.line("nothing is watched: \(error)")
                } catch {
                    return
                }
            }
            group.addTask {
                do {
                    try await KeyReader.run { key in
                        switch key {
                        case "r": sink(.reload)
                        case "l": sink(.list)
                        case "q": sink(.quit)
                        case "h", "?": sink(.help)
                        default: break
                        }
                    }
                } catch  where !Task.isCancelled {
                    console.line("no keys are read: \(error)")
                } catch {
                    return
                }
            }
            var reloader = reloader
            await reloader.run()
            group.cancelAll()
        }
    }
}
