import Downloads
import FunctionKit
import Host
import NIOPosix
import ObjectStorage
import RedisClient

/// The stores of a process, connected.
struct Stores: Sendable {
    let redis: RedisClient
    /// The workers' talk with their queues, the renewal of locks above all, has a client and a loop of its own on which no
    /// handler runs, so that none can keep it busy.
    let queueRedis: RedisClient
    let queueGroup: MultiThreadedEventLoopGroup
    let history: any HistoryStore
    let objects: S3ObjectStore

    /// What handlers get of them.
    func bindings(
        queues: Queues, tickets: TicketBox, webhooks: (any WebhookClient)?, _ configuration: Configuration
    ) -> Bindings {
        var settings = Settings()
        settings[DownloadsConfiguration.self] = configuration.downloads
        settings[CallbacksConfiguration.self] = configuration.callbacks.delivery
        return Bindings(
            keyValue: redis, objects: objects, history: history, queues: queues, tickets: tickets,
            webhooks: webhooks, settings: settings)
    }

    /// What `/health` asks.
    var health: HealthMonitor {
        HealthMonitor([
            .init("storage") { try await objects.check() },
            .init("redis") { try await redis.check() },
            .init("history") { try await history.check() },
        ])
    }
}
