internal import Glibc

/// Blocking access to local files; call it before serving or on a thread that may block.
enum FileSystem {
    /// What tells one version of a file from another without reading it.
    struct Stamp: Hashable {
        let sizeBytes: Int64
        let modifiedNanoseconds: Int64
        let changedNanoseconds: Int64
        let inode: UInt64
    }

    /// Reads a whole file.
    ///
    /// - Throws: ``LoaderError`` also when the file is larger than `limit`, and for a pipe or a device, which might never
    ///   end, unless `mayBePipe`.
    static func read(
        _ path: String, limit: Int = 16 << 20, mayBePipe: Bool = false
    ) throws(LoaderError) -> [UInt8] {
        // Opening a pipe waits for its other end.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | (mayBePipe ? 0 : O_NONBLOCK))
        guard descriptor >= 0 else { throw failure("open", path) }
        defer { close(descriptor) }
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { throw failure("read", path) }
        switch information.st_mode & S_IFMT {
        case S_IFREG, S_IFDIR: break
        case _ where mayBePipe: break
        default: throw LoaderError(.system, "\(path) is a pipe, a socket or a device, not a file")
        }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure("read", path) }
            if count == 0 { return bytes }
            guard bytes.count + count <= limit else {
                throw LoaderError(.system, "\(path) is larger than \(limit) bytes")
            }
            bytes.append(contentsOf: chunk[..<count])
        }
    }

    /// Writes a file whole or not at all: to a temporary name beside it, then renamed.
    static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o644) throws(LoaderError) {
        let temporary = "\(path).\(getpid())-\(UInt32.random(in: 0 ... .max)).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw failure("create", temporary) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let error = failure("write", temporary)
                close(descriptor)
                unlink(temporary)
                throw error
            }
            written += count
        }
        close(descriptor)
        do {
            try rename(temporary, to: path)
        } catch {
            unlink(temporary)
            throw error
        }
    }

    static func rename(_ path: String, to other: String) throws(LoaderError) {
        guard Glibc.rename(path, other) == 0 else { throw failure("rename \(path) to", other) }
    }

    /// The names in a folder, sorted, without `.` and `..`.
    static func names(in folder: String) throws(LoaderError) -> [String] {
        guard let directory = opendir(folder) else { throw failure("read the folder", folder) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Makes a folder and those above it, where they are missing; for its owner alone where it is private, as all in a data
    /// folder is.
    static func makeFolder(_ path: String, isPrivate: Bool = false) throws(LoaderError) {
        if isFolder(path) { return }
        if path.contains("/"), !path.parentFolder.isEmpty, path.parentFolder != "/" {
            try makeFolder(path.parentFolder, isPrivate: isPrivate)
        }
        guard mkdir(path, isPrivate ? 0o700 : 0o755) == 0 || errno == EEXIST else {
            throw failure("create the folder", path)
        }
    }

    /// Removes a file, or a folder with all in it; what is gone already is no error.
    static func remove(_ path: String) {
        var information = stat()
        guard lstat(path, &information) == 0 else { return }
        if information.st_mode & S_IFMT == S_IFDIR {
            for name in (try? names(in: path)) ?? [] { remove("\(path)/\(name)") }
            rmdir(path)
        } else {
            unlink(path)
        }
    }

    static func isFolder(_ path: String) -> Bool {
        var information = stat()
        return stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
    }

    static func isFile(_ path: String) -> Bool {
        var information = stat()
        return stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFREG
    }

    /// Why there is nothing behind a name that a folder lists: a link that leads nowhere, or a name that is not UTF-8,
    /// whose wrong bytes were replaced when the folder was read. `nil` when there is.
    static func unreachable(_ path: String) -> String? {
        var information = stat()
        guard stat(path, &information) != 0 else { return nil }
        let reason = String(cString: strerror(errno))
        return path.contains("\u{FFFD}") ? "its name is not UTF-8" : "cannot be read: \(reason)"
    }

    static func isExecutable(_ path: String) -> Bool { isFile(path) && access(path, X_OK) == 0 }

    static func stamp(_ path: String) -> Stamp? {
        var information = stat()
        guard stat(path, &information) == 0 else { return nil }
        func nanoseconds(_ time: timespec) -> Int64 { Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec) }
        return Stamp(
            sizeBytes: Int64(information.st_size), modifiedNanoseconds: nanoseconds(information.st_mtim),
            changedNanoseconds: nanoseconds(information.st_ctim), inode: UInt64(information.st_ino))
    }

    /// Marks a file as used now.
    static func touch(_ path: String) {
        utimensat(AT_FDCWD, path, nil, 0)
    }

    /// The path without symbolic links, or `nil` when there is no such file.
    static func resolved(_ path: String) -> String? {
        guard let pointer = realpath(path, nil) else { return nil }
        defer { free(pointer) }
        return String(cString: pointer)
    }

    static func environment(_ name: String) -> String? {
        guard let pointer = getenv(name) else { return nil }
        let value = String(cString: pointer)
        return value.isEmpty ? nil : value
    }

    /// The error of the system call that failed just now.
    static func failure(_ verb: String, _ path: String) -> LoaderError {
        LoaderError(.system, "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }
}

extension String {
    /// The part after the last slash.
    var lastPathComponent: String {
        split(separator: "/", omittingEmptySubsequences: true).last.map(String.init) ?? self
    }

    /// The part before the last slash; `/` for what lies there, and empty for a bare name.
    var parentFolder: String {
        guard let slash = lastIndex(of: "/") else { return "" }
        return slash == startIndex ? "/" : String(self[..<slash])
    }
}
