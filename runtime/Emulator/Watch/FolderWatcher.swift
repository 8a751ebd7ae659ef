internal import Glibc

/// Watches a folder of functions and the configuration's file (`inotify(7)`).
///
/// Watched are the folder itself and its sub-folders, as deep as functions are read; of files those that make a function
/// (`function.json`, `*.swift`), so what editors leave beside them (`.swp`, `~`) is nothing. The configuration is watched
/// by its folder, since most editors put a new file in the place of the old one. Each tick also looks whether the folders
/// are still the same ones: one that was replaced, also by a link that leads elsewhere now, and a queue of events that ran
/// over, have all looked at anew.
public struct FolderWatcher: Sendable {
    /// What the watcher tells.
    public enum Event: Sendable {
        /// From now on nothing is missed.
        case began
        /// Something was saved; the files may be read now.
        case changed(WatchedChange)
        /// Something cannot be watched, and why.
        case failed(String)
    }

    private let functionsFolder: String
    private let configurationFile: String

    /// Makes a watcher, which does nothing before ``run(_:)``.
    ///
    /// - Parameters:
    ///   - functionsFolder: The folder of functions; it may be missing for a time.
    ///   - configurationFile: The configuration's file, which may be missing.
    public init(functionsFolder: String, configurationFile: String) {
        self.functionsFolder = functionsFolder
        self.configurationFile = configurationFile
    }

    /// Watches until it is cancelled.
    ///
    /// - Parameter tell: Told of changes, each some 40 ms after its last step, on the watcher's thread.
    /// - Throws: ``EmulatorError`` when the system has no watch left for this process.
    public func run(_ tell: @escaping @Sendable (Event) -> Void) async throws {
        let (functionsFolder, configurationFile) = (functionsFolder, configurationFile)
        try await BlockingLoop.run { isOver in
            var watch = try WatchTable(functionsFolder: functionsFolder, configurationFile: configurationFile)
            tell(.began)
            var debouncer = ChangeDebouncer()
            while !isOver() {
                watch.wait(until: debouncer.due)
                var change = watch.read()
                if watch.isLost {
                    watch = try WatchTable(functionsFolder: functionsFolder, configurationFile: configurationFile)
                    change.merge(WatchedChange(isWhole: true))
                }
                for failure in watch.takeFailures() { tell(.failed(failure)) }
                debouncer.add(change, at: .now)
                if let ready = debouncer.take(at: .now) { tell(.changed(ready)) }
            }
        }
    }
}
