import Foundation
import Synchronization

/// A redis-server of a test's own, on a Unix socket in a fresh folder.
public final class RedisServer: Sendable {
    /// Its folder.
    public let folder: String
    private let options: [String]
    private let process = Mutex<Process?>(nil)

    /// Where it listens.
    public var socket: String { folder + "/redis.sock" }
    /// The socket's URL.
    public var url: String { "unix:" + socket }

    /// Makes the folder and starts a server, which answers a moment later.
    ///
    /// - Parameter options: Further arguments, which win.
    /// - Throws: What the system says when the folder cannot be made or there is no redis-server.
    public init(options: [String] = []) throws {
        folder = FileManager.default.temporaryDirectory.path + "/redis-\(UInt64.random(in: 0 ... .max))"
        self.options = options
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try start()
    }

    /// Starts the server again, on what it has stored.
    ///
    /// - Throws: What the system says when there is no redis-server.
    public func start() throws {
        let server = Process()
        server.executableURL = URL(fileURLWithPath: "/usr/bin/redis-server")
        server.arguments =
            ["--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", folder]
            + ["--logfile", folder + "/log"] + options
        server.standardOutput = FileHandle.nullDevice
        server.standardError = FileHandle.nullDevice
        try server.run()
        process.withLock { $0 = server }
    }

    /// Kills the server as a crash would, and waits until it is gone.
    public func kill() {
        process.withLock { process in
            guard let server = process.take() else { return }
            Foundation.kill(server.processIdentifier, SIGKILL)
            // `waitUntilExit` turns the thread's run loop and may hang where tests run side by side.
            let limit = ContinuousClock.now + .seconds(10)
            while server.isRunning, ContinuousClock.now < limit { usleep(500) }
        }
    }

    /// Kills the server and removes its folder.
    public func remove() {
        kill()
        try? FileManager.default.removeItem(atPath: folder)
    }
}
