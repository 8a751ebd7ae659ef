internal import Glibc

/// The watches of one ``FolderWatcher``, and what their events mean. Belongs to one thread.
final class WatchTable {
    private enum Role: Hashable {
        case functions
        case function(String)
        case configuration
    }

    /// What tells a folder from another one of the same path.
    private struct Identity: Equatable {
        let device: UInt64
        let inode: UInt64
    }

    private static let mask =
        UInt32(IN_CLOSE_WRITE) | UInt32(IN_CREATE) | UInt32(IN_DELETE) | UInt32(IN_MOVED_FROM) | UInt32(IN_MOVED_TO)
        | UInt32(IN_ONLYDIR)

    private let descriptor: CInt
    private let functionsFolder: String
    private let configurationFolder: String
    private let configurationName: String
    private let functionsIdentity: Identity?
    private let configurationIdentity: Identity?
    /// One folder may have several roles: the kernel gives it one watch.
    private var roles: [CInt: Set<Role>] = [:]
    private var failures: [String] = []
    private var hasOverflown = false
    private var buffer = [UInt8](repeating: 0, count: 32 << 10)

    /// Begins to watch; from then on nothing is missed.
    ///
    /// - Throws: ``EmulatorError`` when the system has no watch left.
    init(functionsFolder: String, configurationFile: String) throws {
        let slash = configurationFile.lastIndex(of: "/")
        let folder = slash.map { String(configurationFile[..<$0]) } ?? "."
        self.functionsFolder = functionsFolder
        configurationFolder = folder.isEmpty ? "/" : folder
        configurationName =
            slash.map { String(configurationFile[configurationFile.index(after: $0)...]) }
            ?? configurationFile
        // Looked at first: what is replaced after that is found by the next tick.
        functionsIdentity = WatchTable.identity(functionsFolder)
        configurationIdentity = WatchTable.identity(configurationFolder)
        descriptor = inotify_init1(CInt(IN_CLOEXEC) | CInt(IN_NONBLOCK))
        guard descriptor >= 0 else {
            throw EmulatorError(.file, "files cannot be watched: \(String(cString: strerror(errno)))")
        }
        add(configurationFolder, .configuration)
        add(functionsFolder, .functions)
        for name in WatchTable.names(in: functionsFolder) { add("\(functionsFolder)/\(name)", .function(name)) }
    }

    deinit { close(descriptor) }

    /// Whether the watches are for folders that are not there any more, or events were lost.
    var isLost: Bool {
        hasOverflown || functionsIdentity != WatchTable.identity(functionsFolder)
            || configurationIdentity != WatchTable.identity(configurationFolder)
    }

    /// What could not be watched since this was asked last.
    func takeFailures() -> [String] {
        defer { failures = [] }
        return failures
    }

    /// Waits for events, until a time or the end of a tick.
    func wait(until due: ContinuousClock.Instant?) {
        var milliseconds = BlockingLoop.waitMs
        if let due {
            let left = due - .now
            milliseconds = left <= .zero ? 0 : min(milliseconds, CInt(left / .milliseconds(1)) + 1)
        }
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        poll(&entry, 1, milliseconds)
    }

    /// Takes all events that are there.
    func read() -> WatchedChange {
        var change = WatchedChange()
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return change }
            let headBytes = MemoryLayout<inotify_event>.size
            var offset = 0
            while offset + headBytes <= count {
                let (event, name) = buffer.withUnsafeBytes { bytes in
                    let event = bytes.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
                    let end = min(offset + headBytes + Int(event.len), count)
                    let name = bytes[(offset + headBytes)..<end].prefix { $0 != 0 }
                    return (event, String(decoding: name, as: UTF8.self))
                }
                offset += headBytes + Int(event.len)
                take(event, name, into: &change)
            }
        }
    }

    private func take(_ event: inotify_event, _ name: String, into change: inout WatchedChange) {
        if event.mask & UInt32(IN_Q_OVERFLOW) != 0 { hasOverflown = true }
        if event.mask & UInt32(IN_IGNORED) != 0 { roles[event.wd] = nil }
        guard !name.isEmpty else { return }
        for role in roles[event.wd] ?? [] {
            switch role {
            case .configuration where name == configurationName: change.hasConfiguration = true
            case .function(let function) where WatchTable.isSource(name): change.functions.insert(function)
            case .functions where !name.hasPrefix("."):
                let isGone = event.mask & (UInt32(IN_DELETE) | UInt32(IN_MOVED_FROM)) != 0
                let hadWatch = forget(.function(name))
                let hasWatch = !isGone && add("\(functionsFolder)/\(name)", .function(name))
                if hadWatch || hasWatch { change.functions.insert(name) }
            case .configuration, .function, .functions: break
            }
        }
    }

    /// Whether a function is made of files of that name.
    private static func isSource(_ name: String) -> Bool {
        name == "function.json"
            || ((name.hasSuffix(".swift") || name.hasSuffix(".schema.json")) && !name.hasPrefix("."))
    }

    @discardableResult
    private func add(_ path: String, _ role: Role) -> Bool {
        let watch = inotify_add_watch(descriptor, path, WatchTable.mask)
        guard watch >= 0 else {
            // A file is no folder; what is gone again has told so itself.
            if errno != ENOTDIR, errno != ENOENT {
                failures.append("\(path) cannot be watched: \(String(cString: strerror(errno)))")
            }
            return false
        }
        roles[watch, default: []].insert(role)
        return true
    }

    /// Ends the watch of a folder that has gone, or was moved and has another name now.
    private func forget(_ role: Role) -> Bool {
        var wasThere = false
        for (watch, all) in roles where all.contains(role) {
            wasThere = true
            roles[watch] = all.subtracting([role])
            // Also when the kernel has done so itself.
            if roles[watch]?.isEmpty == true { inotify_rm_watch(descriptor, watch) }
        }
        return wasThere
    }

    private static func identity(_ path: String) -> Identity? {
        var information = stat()
        guard stat(path, &information) == 0, information.st_mode & S_IFMT == S_IFDIR else { return nil }
        return Identity(device: UInt64(information.st_dev), inode: UInt64(information.st_ino))
    }

    private static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }
}
