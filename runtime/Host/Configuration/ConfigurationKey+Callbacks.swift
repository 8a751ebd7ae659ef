internal import Downloads
internal import Webhooks

extension ConfigurationKey {
    private static let least = Duration.milliseconds(100)
    private static let hour = Duration.seconds(3600)

    static let callbacks: [ConfigurationKey] = [
        ConfigurationKey(
            "callbacks.secret", .secret(leastBytes: 32), \.callbacks.secret, variables: ["FERRY_CALLBACK_SECRET"]),
        ConfigurationKey("callbacks.allow", .networks, \.callbacks.allow),
        ConfigurationKey("callbacks.allowHTTP", .boolean, \.callbacks.allowsHTTP),
        ConfigurationKey("callbacks.timeout", .duration(least...(.seconds(30))), \.callbacks.delivery.timeout),
        ConfigurationKey("callbacks.attempts", .integer(1...50), \.callbacks.delivery.attempts),
        ConfigurationKey("callbacks.retryDelay", .duration(least...hour), \.callbacks.delivery.retryDelay),
        ConfigurationKey("callbacks.retryMaxDelay", .duration(least...(hour * 24)), \.callbacks.delivery.retryMaxDelay),
    ]
}

extension ConfigurationForm where Value == [AddressNetwork] {
    fileprivate static var networks: Self {
        Self(
            .list, show: { .array($0.map { PositionedJSON(.string($0.text)) }) },
            read: { object, name, _, reader in
                reader.value(
                    object, name, "an array of addresses and networks such as \"10.0.0.0/8\" or \"fd00::/8\""
                ) { json in
                    let networks = json.elements?.map { $0.string.flatMap(AddressNetwork.init) } ?? [nil]
                    let known = networks.compactMap(\.self)
                    return known.count == networks.count ? known : nil
                }
            })
    }
}
