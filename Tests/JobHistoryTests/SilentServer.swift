import Glibc
import Testing

/// Takes connections on PostgreSQL's Unix socket in a fresh folder, and never says anything.
final class SilentServer {
    let folder: String
    private let listener: Int32

    init(in folder: String? = nil) throws {
        self.folder = folder ?? "/tmp/ferry-silent-\(UInt32.random(in: 0 ... .max))"
        if folder == nil { try #require(mkdir(self.folder, 0o755) == 0) }
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array("\(self.folder)/.s.PGSQL.5432".utf8CString)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.map(UInt8.init(bitPattern:))) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, size) }
        }
        try #require(status == 0 && listen(listener, 64) == 0)
    }

    /// Ends it without answering; those who wait see the end of their connection.
    func remove() {
        close(listener)
        unlink("\(folder)/.s.PGSQL.5432")
        rmdir(folder)
    }
}
