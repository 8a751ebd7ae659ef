import Glibc

/// The folder of the processes' logs in a data folder.
enum LogFolder {
    /// How many ended processes' logs are kept.
    private static let keptCount = 8
    private static let suffix = ".jsonl"

    static func path(in dataFolder: String) -> String { "\(dataFolder)/log" }

    /// Makes the folder, and the data folder around it.
    static func make(_ folder: String) -> Bool {
        for path in [String(folder.dropLast("/log".count)), folder] {
            guard mkdir(path, 0o700) == 0 || errno == EEXIST else { return false }
        }
        return true
    }

    /// The names of the logs, the oldest first; a name stands for the two files of a process.
    static func names(_ folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: Set<String> = []
        while let entry = readdir(stream) {
            let file = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard file.hasSuffix(suffix) else { continue }
            let name = file.dropLast(suffix.count)
            names.insert(String(name.hasSuffix(".1") ? name.dropLast(2) : name))
        }
        return names.sorted { ($0.count, $0) < ($1.count, $1) }
    }

    /// The files of a log, the older one first.
    static func files(_ folder: String, _ name: String) -> [String] {
        ["\(folder)/\(name).1\(suffix)", "\(folder)/\(name)\(suffix)"]
    }

    /// Removes the logs of ended processes, the latest eight aside.
    static func prune(_ folder: String) {
        let ended = names(folder).filter { !isHeld(files(folder, $0)[1]) }
        for name in ended.dropLast(keptCount) {
            for file in files(folder, name) { unlink(file) }
        }
    }

    /// Whether a process lives that writes the file.
    private static func isHeld(_ file: String) -> Bool {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) != 0
    }
}
