internal import FunctionKit
internal import Glibc

/// Where a data directory's redis-server keeps its things.
struct RedisPlace: Sendable {
    /// `<data>/redis`, absolute and real.
    let folder: String
    /// The Unix socket.
    let socket: String

    var log: String { folder + "/redis.log" }
    var processIdentifierFile: String { folder + "/redis.pid" }
    /// Held (shared) by each host that uses the server.
    var users: String { folder + "/users.lock" }
    /// Held while a host starts, adopts or leaves.
    var start: String { folder + "/start.lock" }

    /// The longest path that fits a socket address on Linux, its NUL not counted.
    static let socketPathLimit = 107

    /// Makes the folders. Blocks.
    ///
    /// The socket lies in the folder, unless its path does not fit a socket address or would have to be escaped in a
    /// URL: then in a folder under `/tmp` that is derived from the real path, so that every host finds the same one.
    init(dataFolder: String) throws {
        folder = try Folder.make(dataFolder + "/redis")
        let natural = folder + "/redis.sock"
        if RedisPlace.fits(natural) {
            socket = natural
            return
        }
        let short = "/tmp/ferry-\(geteuid())-" + String(RedisPlace.hash(folder), radix: 16)
        guard mkdir(short, 0o700) == 0 || errno == EEXIST else { throw SystemError("mkdir", short) }
        var status = stat()
        guard lstat(short, &status) == 0 else { throw SystemError("lstat", short) }
        guard status.isFolder, status.st_uid == geteuid(), status.st_mode & 0o077 == 0 else {
            throw EmulatorError(.file, "\(short) must be a folder that only its owner may enter; remove it.")
        }
        socket = short + "/redis.sock"
        try Folder.replace(folder + "/socket", with: Array((socket + "\n").utf8))
    }

    static func fits(_ path: String) -> Bool {
        path.utf8.count <= socketPathLimit
            && path.utf8.allSatisfy { byte in
                let character = Character(Unicode.Scalar(byte))
                return byte < 0x80 && (character.isLetter || character.isNumber || "/._-".contains(character))
            }
    }

    /// FNV-1a, 64 bits: short, stable between runs, and no secret is needed for a folder only its owner may enter.
    static func hash(_ text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }
}
