import Foundation
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// A private redis-server in a fresh folder, on a Unix socket and, when asked, on a TCP or TLS port of loopback.
final class TestRedis: Sendable {
    enum Failure: Error {
        case didNotStart(String)
    }

    let folder: String
    let port: Int?
    private let options: [String]
    private let process = Mutex<Process?>(nil)

    var socketURL: String { "unix:\(folder)/s" }

    /// Starts a server for a body and kills it afterwards.
    static func with<R>(
        port: Int? = nil, tls: Bool = false, options: [String] = [], _ body: (TestRedis) async throws -> R
    ) async throws -> R {
        let redis = try TestRedis(port: port, tls: tls, options: options)
        defer { try? FileManager.default.removeItem(atPath: redis.folder) }
        do {
            try await redis.start()
            let result = try await body(redis)
            await redis.kill()
            return result
        } catch {
            await redis.kill()
            throw error
        }
    }

    private init(port: Int?, tls: Bool, options: [String]) throws {
        folder = "/tmp/ferry-redis-\(UInt64.random(in: 0...(.max)))"
        self.port = port
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var all = ["--unixsocket", folder + "/s", "--dir", folder, "--save", "", "--appendonly", "no"]
        all += ["--enable-debug-command", "yes", "--bind", "127.0.0.1"]
        if tls {
            try Self.makeCertificate(in: folder)
            all += ["--port", "0", "--tls-port", "\(port ?? 0)", "--tls-auth-clients", "no"]
            all += ["--tls-cert-file", folder + "/cert.pem", "--tls-key-file", folder + "/key.pem"]
            all += ["--tls-ca-cert-file", folder + "/cert.pem"]
        } else {
            all += ["--port", "\(port ?? 0)"]
        }
        self.options = all + options
    }

    func start() async throws {
        // The socket of a killed server is still there.
        try? FileManager.default.removeItem(atPath: folder + "/s")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/redis-server")
        process.arguments = options
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        self.process.withLock { $0 = process }
        guard await eventually({ FileManager.default.fileExists(atPath: self.folder + "/s") }) else {
            throw Failure.didNotStart(options.joined(separator: " "))
        }
    }

    /// Kills the server as a crash would, and waits until it is gone.
    func kill() async {
        guard let process = process.withLock({ $0.take() }) else { return }
        Foundation.kill(process.processIdentifier, SIGKILL)
        _ = await eventually { !process.isRunning }
    }

    private static func makeCertificate(in folder: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem",
        ]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
    }
}

/// Whether a condition becomes true within a deadline.
func eventually(within limit: Duration = .seconds(20), _ condition: () async throws -> Bool) async rethrows -> Bool {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return false
}

/// A port of loopback that nobody uses at the moment.
func freePort() async throws -> Int {
    let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .bind(host: "127.0.0.1", port: 0).get()
    let port = try #require(channel.localAddress?.port)
    try await channel.close()
    return port
}
