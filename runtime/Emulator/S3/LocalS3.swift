// Presigned URLs carry host and port, so the endpoint listens on a port of its own that outlives hosts: whichever host of
// a data directory holds the lock on `s3/serve.lock` serves it for all of them, and the kernel drops the lock when that
// host dies. The others look once a second, and the first to get the lock takes over. All hosts write the same files, so
// nothing is handed over.

internal import FunctionKit
internal import Glibc
public import Logging
public import NIOCore
internal import NIOPosix
public import ObjectStorage
public import ServiceLifecycle
internal import Synchronization

/// The S3-compatible endpoint of a data directory: objects are files, signatures are checked.
///
/// It knows buckets, objects, ranges, conditions, copies, listings and multipart uploads; anything else is answered with
/// 501 `NotImplemented`.
public final class LocalS3: Service {
    private enum Phase {
        case starting
        /// This process or a peer answers at this URL.
        case serving(String)
        case failed(any Error)
    }

    /// The most connections at a time; one more is closed at once.
    private static let connectionLimit = 1024
    /// How long requests may go on after the start of a shutdown.
    private static let drainLimit = TimeAmount.seconds(30)

    /// The access key, made once for the data directory and kept in `s3/credentials`.
    public let credentials: S3Credentials
    /// The region of the credential scope.
    public let region: String
    /// The bucket that was made at the start.
    public let bucket: String
    /// The objects as files, for tools that need no request.
    public let store: S3FileStore

    private let folder: String
    private let host: String
    private let port: Int
    private let logger: Logger
    private let group: any EventLoopGroup
    private let pool: NIOThreadPool
    private let lock: LockFile
    private let phase = Mutex(Phase.starting)

    /// Prepares folders, credentials and the bucket; ``run()`` serves. Makes a few blocking calls.
    ///
    /// - Parameters:
    ///   - dataFolder: The data directory; the endpoint's files lie in its folder `s3`.
    ///   - host: The address to listen on. For `127.0.0.1` and `localhost`, `::1` too, where there is one.
    ///   - port: 1 to 65 535, or 0 for the port of the last time, and any free one the first time.
    ///   - bucket: Made where it is missing.
    ///   - region: The region that clients sign for.
    ///   - logger: Told who serves.
    ///   - group: The event loops to serve on.
    /// - Throws: ``EmulatorError`` with code `.file`, or an error that tells why the bucket's name is wrong.
    public init(
        dataFolder: String, host: String = "127.0.0.1", port: Int, bucket: String, region: String = "us-east-1",
        logger: Logger, group: any EventLoopGroup
    ) throws {
        self.host = host
        self.port = port
        self.bucket = bucket
        self.region = region
        self.logger = logger
        self.group = group
        store = try S3FileStore(folder: dataFolder + "/s3")
        folder = store.folder
        do {
            credentials = try S3CredentialsFile.load(folder + "/credentials")
            lock = try LockFile(folder + "/serve.lock")
            try store.createBucket(bucket)
        } catch let error as SystemError {
            throw EmulatorError(.file, "The folder \(dataFolder)/s3 cannot be used.", cause: error)
        }
        pool = NIOThreadPool(numberOfThreads: 4)
    }

    /// The URL of the endpoint without a path: that of the host that serves, once it is known.
    public var endpoint: String {
        if case .serving(let url) = phase.withLock({ $0 }) { return url }
        return url(port: port)
    }

    private func url(port: Int) -> String {
        let name = ["0.0.0.0", "::", ""].contains(host) ? "127.0.0.1" : host
        return "http://\(name.contains(":") ? "[\(name)]" : name):\(port)"
    }

    /// Waits until this host or a peer serves.
    ///
    /// - Parameter limit: The longest time to wait.
    /// - Returns: The endpoint's URL.
    /// - Throws: What ``run()`` threw; ``EmulatorError`` with code `.startFailed` after the time; `CancellationError`.
    public func waitUntilServing(within limit: Duration = .seconds(10)) async throws -> String {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            switch phase.withLock({ $0 }) {
            case .serving(let url): return url
            case .failed(let error): throw error
            case .starting: try await Task.sleep(for: .milliseconds(5))
            }
        }
        throw EmulatorError(.startFailed, "The local S3 endpoint did not start within \(limit).")
    }

    /// Serves, or waits to take over from the host that does, until shutdown.
    ///
    /// - Throws: ``EmulatorError`` with code `.addressInUse` when something else listens on the port.
    public func run() async throws {
        pool.start()
        do {
            if try await cancelWhenGracefulShutdown({ try await self.waitForTurn() }) { try await serve() }
        } catch {
            phase.withLock { $0 = .failed(error) }
            lock.unlock()
            // Its threads end with the work they have; the error above is the one that counts.
            try? await pool.shutdownGracefully()
            throw error
        }
        try await pool.shutdownGracefully()
    }

    /// Whether the lock is held; `false` at shutdown.
    private func waitForTurn() async throws -> Bool {
        let path = descriptionPath
        var hasTold = false
        while !Task.isCancelled {
            if try await pool.runIfActive({ try self.lock.tryLock(.exclusive) }) { return true }
            if let text = try await pool.runIfActive({ try LocalS3.readDescription(path)?.endpoint }) {
                phase.withLock { $0 = .serving(text) }
                if !hasTold { logger.debug("Another host serves the local S3 endpoint.", metadata: ["url": "\(text)"]) }
                hasTold = true
            }
            do { try await Task.sleep(for: hasTold ? .seconds(1) : .milliseconds(20)) } catch { return false }
        }
        return false
    }

    private func serve() async throws {
        let path = descriptionPath
        let former = try await pool.runIfActive { [store] in
            let former = try LocalS3.readDescription(path)
            // Peers must not take the old URL for that of this host.
            unlink(path)
            try store.sweep()
            return former
        }
        let connections = S3Connections(limit: LocalS3.connectionLimit)
        let listeners = try await bind(connections, formerPort: former.flatMap { LocalS3.port(of: $0.endpoint) })
        let url = url(port: listeners[0].port)
        let text = try JSON.text(description(endpoint: url)) + "\n"
        try await pool.runIfActive { try Folder.replace(path, with: Array(text.utf8)) }
        phase.withLock { $0 = .serving(url) }
        logger.info("Serving the local S3 endpoint.", metadata: ["url": "\(url)"])

        let service = S3Service(
            store: store, credentials: credentials, region: region, hostNames: hostNames, pool: pool, logger: logger)
        let connection = S3Connection(service: service, connections: connections, logger: logger)
        let openCount = Mutex(listeners.count)
        let onClosed: @Sendable () -> Void = { [lock] in
            // A peer may take over while the last answers are sent.
            let isLast = openCount.withLock { count in
                count -= 1
                return count == 0
            }
            if isLast { lock.unlock() }
        }
        await withGracefulShutdownHandler {
            await withTaskGroup { group in
                for listener in listeners { group.addTask { await listener.serve(connection, onClosed: onClosed) } }
            }
        } onGracefulShutdown: { [group] in
            for listener in listeners { listener.close() }
            connections.drain()
            group.any().scheduleTask(in: LocalS3.drainLimit) { connections.closeAll() }
        }
    }

    private var hostNames: [String] {
        let names = ["localhost", "s3.localhost"]
        let isName = host.contains { $0.isLetter } && !host.contains(":")
        return isName && !names.contains(host) ? names + [host.lowercased()] : names
    }

    private var descriptionPath: String { folder + "/endpoint.json" }

    /// What `s3/endpoint.json` says; `nil` when there is none, or one that nobody can read.
    static func readDescription(_ path: String) throws -> S3Description? {
        try Folder.contents(of: path).flatMap {
            try? JSON.decode(S3Description.self, from: String(decoding: $0, as: UTF8.self))
        }
    }

    private static func port(of endpoint: String) -> Int? {
        endpoint.split(separator: ":").last.flatMap { Int($0) }
    }

    private func description(endpoint: String) -> S3Description {
        S3Description(
            endpoint: endpoint, accessKeyId: credentials.accessKeyID,
            secretAccessKey: credentials.secretAccessKey.revealed, bucket: bucket, region: region)
    }

    /// How to reach the endpoint; to be asked once it serves.
    public var description: S3Description { description(endpoint: endpoint) }

    /// Binds the port: the configured one; for 0, the former one, or else any.
    private func bind(_ connections: S3Connections, formerPort: Int?) async throws -> [S3Listener] {
        guard port == 0 else { return try await bind(connections, port: port) }
        if let formerPort {
            do {
                return try await bind(connections, port: formerPort)
            } catch let error as EmulatorError where error.code == .addressInUse {
                logger.warning(
                    "The port of the local S3 endpoint is taken by now; URLs that were signed before do not work.",
                    metadata: ["port": "\(formerPort)"])
            }
        }
        // A free port of IPv4 may be taken on IPv6.
        for _ in 0..<8 {
            do { return try await bind(connections, port: 0) } catch let error as EmulatorError
                where error.code == .addressInUse
            {
                continue
            }
        }
        return try await bind(connections, port: 0)
    }

    private func bind(_ connections: S3Connections, port: Int) async throws -> [S3Listener] {
        let isLoopback = host == "127.0.0.1" || host == "localhost"
        let first = try await bind(connections, host: isLoopback ? "127.0.0.1" : host, port: port)
        guard isLoopback else { return [first] }
        do {
            return [first, try await bind(connections, host: "::1", port: first.port)]
        } catch let error as EmulatorError {
            first.close()
            throw error
        } catch {
            logger.debug("There is no IPv6 loopback; serving on IPv4 only.", metadata: ["error": "\(error)"])
            return [first]
        }
    }

    private func bind(_ connections: S3Connections, host: String, port: Int) async throws -> S3Listener {
        do {
            return try await S3Listener.bind(host: host, port: port, group: group, connections: connections)
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw EmulatorError(
                .addressInUse,
                "Port \(port) on \(host) is in use by another program, so the local S3 endpoint cannot listen on it. "
                    + "End that program, or configure another port.", cause: error)
        }
    }
}
