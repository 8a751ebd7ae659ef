internal import Glibc

/// The folder of compiled modules: `<data>/modules/<function>-<hash>.so`; those of a quick build, which are not optimised,
/// lie in `<data>/modules-dev`, so that neither kind pushes the other out.
///
/// A file is written elsewhere and renamed, never changed, and its name holds the digest of all that went into it. So two
/// processes may build at once, and a file that is mapped stays as it is.
struct ModuleStore: Sendable {
    /// How many modules of a function are kept, by time of last use.
    private static let keptCount = 4
    /// After how many seconds the remains of a build that was killed are removed.
    private static let remainsSeconds: Int64 = 3600
    static let hashLength = 24

    let folder: String

    init(dataFolder: String, isQuick: Bool = false) {
        #if DEBUG
        // Nothing is optimised here, so there is one kind.
        folder = "\(dataFolder)/modules"
        #else
        folder = isQuick ? "\(dataFolder)/modules-dev" : "\(dataFolder)/modules"
        #endif
    }

    func path(_ function: String, hash: String) -> String { "\(folder)/\(function)-\(hash).so" }

    /// The modules of a function, the one used last first.
    func modules(of function: String) -> [String] {
        let prefix = "\(function)-"
        let length = prefix.utf8.count + Self.hashLength + 3
        let names = (try? FileSystem.names(in: folder)) ?? []
        let paths = names.filter { $0.hasPrefix(prefix) && $0.hasSuffix(".so") && $0.utf8.count == length }
            .map { "\(folder)/\($0)" }
        return paths.map { (path: $0, time: FileSystem.stamp($0)?.modifiedNanoseconds ?? 0) }
            .sorted { ($0.time, $0.path) > ($1.time, $1.path) }.map(\.path)
    }

    /// Runs work in a fresh folder on the same file system and removes it afterwards.
    func withTemporaryFolder<Output>(_ work: (String) throws -> Output) throws -> Output {
        let path = "\(folder)/.build-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        try FileSystem.makeFolder(path, isPrivate: true)
        defer { FileSystem.remove(path) }
        return try work(path)
    }

    /// Runs work while no other builder of this function does, in this process or another.
    ///
    /// The lock only saves double work, so after the deadline the work runs without it.
    func withLock<Output>(
        _ function: String, deadline: Duration, cancellation: Cancellation, _ work: () throws -> Output
    ) throws -> Output {
        try FileSystem.makeFolder(folder, isPrivate: true)
        let descriptor = open("\(folder)/\(function).lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileSystem.failure("create", "\(folder)/\(function).lock") }
        defer { close(descriptor) }
        let end = ContinuousClock.now + deadline
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0, ContinuousClock.now < end, !cancellation.isCancelled {
            poll(nil, 0, 20)
        }
        return try work()
    }

    /// Removes modules that were not used for long and what killed builds left. A module that some process has mapped
    /// lives on in it; the newest are kept for processes that are about to open one.
    func prune(_ function: String) {
        for path in modules(of: function).dropFirst(Self.keptCount) { unlink(path) }
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        for name in (try? FileSystem.names(in: folder)) ?? [] where name.hasPrefix(".build-") {
            let path = "\(folder)/\(name)"
            let seconds = (FileSystem.stamp(path)?.modifiedNanoseconds ?? .max) / 1_000_000_000
            if seconds < Int64(now.tv_sec) - Self.remainsSeconds { FileSystem.remove(path) }
        }
    }
}
