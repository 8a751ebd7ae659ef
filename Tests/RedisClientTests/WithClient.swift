import FunctionKit
import Logging
import NIOCore
import NIOPosix
import RedisClient
import Testing

/// Runs a body with a client on loops of its own, and closes both.
func withClient<R>(
    _ url: String, threads: Int = 2, configure: (inout RedisConfiguration) -> Void = { _ in },
    _ body: (RedisClient) async throws -> R
) async throws -> R {
    try await withClientAndGroup(url, threads: threads, configure: configure) { client, _ in try await body(client) }
}

/// As ``withClient(_:threads:configure:_:)``, for a body that uses the loops.
func withClientAndGroup<R>(
    _ url: String, threads: Int = 2, configure: (inout RedisConfiguration) -> Void = { _ in },
    _ body: (RedisClient, MultiThreadedEventLoopGroup) async throws -> R
) async throws -> R {
    var configuration = try RedisConfiguration(url: url)
    // The machine that runs the tests may be busy.
    configuration.commandTimeout = .seconds(20)
    configuration.connectTimeout = .seconds(10)
    configure(&configuration)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
    let client = RedisClient(configuration, group: group, logger: Logger(label: "test"))
    do {
        let result = try await body(client, group)
        await client.close()
        try await group.shutdownGracefully()
        return result
    } catch {
        await client.close()
        try await group.shutdownGracefully()
        throw error
    }
}

/// The error that a call ends with.
func redisError(_ body: () async throws -> some Any) async -> RedisError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? RedisError
    }
}

extension RESPValue {
    static func text(_ text: String) -> RESPValue { .bytes(ByteBuffer(string: text)) }
}
