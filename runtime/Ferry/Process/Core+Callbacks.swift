import Downloads
import Host
import NIOPosix
import Webhooks

extension Core {
    /// What calls the receivers of callbacks, if there is a secret to sign with: the configured one, or that of the data
    /// folder. On the embedded stores, which one machine has to itself, it is made.
    func makeWebhooks(_ cleanup: inout Cleanup) throws -> WebhookPoster? {
        let isEmbedded = configuration.redis.url == nil
        let settings = configuration.callbacks
        guard
            let secret = try settings.secret ?? CallbackKey.read(dataFolder: options.dataFolder, isMade: isEmbedded)
        else { return nil }
        var bounds = WebhookPoster.Options()
        bounds.rules = AddressRules(allowed: settings.allow)
        bounds.allowsHTTP = settings.allowsHTTP
        bounds.timeout = settings.delivery.timeout
        let poster = try naming("callbacks") {
            try WebhookPoster(secret: Array(secret.value.utf8), options: bounds, group: group)
        }
        cleanup.add { try? await poster.shutdown() }
        return poster
    }
}
