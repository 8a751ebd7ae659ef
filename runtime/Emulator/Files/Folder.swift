internal import Glibc
internal import NIOCore

/// What the emulator does with folders and small files. All calls block.
enum Folder {
    /// Makes a folder and those above it where they are missing, then gives its real path.
    static func make(_ path: String, mode: mode_t = 0o700) throws -> String {
        if mkdir(path, mode) != 0 {
            switch errno {
            case EEXIST: break
            case ENOENT where !path.isEmpty:
                let parent = parent(of: path)
                guard parent != path else { throw SystemError("mkdir", path) }
                _ = try make(parent, mode: mode)
                if mkdir(path, mode) != 0, errno != EEXIST { throw SystemError("mkdir", path) }
            default: throw SystemError("mkdir", path)
            }
        }
        guard let resolved = realpath(path, nil) else { throw SystemError("realpath", path) }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private static func parent(of path: String) -> String {
        var trimmed = path[...]
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        guard let slash = trimmed.lastIndex(of: "/") else { return "." }
        return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    }

    /// What lies in a folder, `.` and `..` aside; names that are not UTF-8 are left out. Empty when it does not exist.
    static func entries(in path: String) throws -> [Entry] {
        guard let stream = opendir(path) else {
            if errno == ENOENT || errno == ENOTDIR { return [] }
            throw SystemError("opendir", path)
        }
        defer { closedir(stream) }
        var entries: [Entry] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) {
                    String(validatingCString: $0)
                }
            }
            guard let name, name != ".", name != ".." else { continue }
            let kind: Entry.Kind =
                switch Int(entry.pointee.d_type) {
                case Int(DT_REG): .file
                case Int(DT_DIR): .folder
                case Int(DT_LNK), Int(DT_UNKNOWN): try kind(of: "\(path)/\(name)")
                default: .other
                }
            entries.append(Entry(name: name, kind: kind))
        }
        return entries
    }

    /// A link to a file counts as the file; one to a folder does not count, so that no walk goes round in circles.
    private static func kind(of path: String) throws -> Entry.Kind {
        var own = stat()
        guard lstat(path, &own) == 0 else { return .other }
        if own.isFolder { return .folder }
        return try status(path)?.isRegularFile == true ? .file : .other
    }

    /// A name in a folder.
    struct Entry {
        enum Kind {
            case file
            case folder
            case other
        }

        let name: String
        let kind: Kind
    }

    /// Removes a folder and all that is in it; one that is gone already is no error.
    static func removeTree(_ path: String) throws {
        for entry in try entries(in: path) {
            let child = "\(path)/\(entry.name)"
            if entry.kind == .folder {
                try removeTree(child)
            } else if unlink(child) != 0, errno != ENOENT {
                throw SystemError("unlink", child)
            }
        }
        if rmdir(path) != 0, errno != ENOENT { throw SystemError("rmdir", path) }
    }

    /// What is known of a path, or `nil` when there is nothing. Follows links.
    static func status(_ path: String) throws -> stat? {
        var result = stat()
        guard stat(path, &result) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw SystemError("stat", path)
        }
        return result
    }

    /// A small file's bytes, at most 1 MiB, or `nil` when there is none.
    static func contents(of path: String) throws -> [UInt8]? {
        do {
            let file = try OpenFile(path, flags: O_RDONLY)
            return Array(buffer: try file.read(at: 0, count: Int(min(Int64(try file.status().st_size), 1 << 20))))
        } catch let error as SystemError where error.number == ENOENT || error.number == ENOTDIR {
            return nil
        }
    }

    /// Writes a small file so that readers see the old or the new one.
    static func replace(_ path: String, with bytes: [UInt8], mode: mode_t = 0o600) throws {
        let temporary = path + ".\(getpid()).\(UInt32.random(in: 0 ... .max))"
        do {
            try OpenFile(temporary, flags: O_WRONLY | O_CREAT | O_EXCL, mode: mode).write(bytes)
            guard rename(temporary, path) == 0 else { throw SystemError("rename", path) }
        } catch {
            unlink(temporary)
            throw error
        }
    }
}

extension stat {
    var isFolder: Bool { st_mode & S_IFMT == S_IFDIR }
    var isRegularFile: Bool { st_mode & S_IFMT == S_IFREG }
    /// Nanoseconds since 1970 of the last change of the content.
    var modifiedNanoseconds: Int64 { Int64(st_mtim.tv_sec) * 1_000_000_000 + Int64(st_mtim.tv_nsec) }
}
