internal import Downloads

extension ConfigurationKey {
    private static let minute = Duration.seconds(60)
    private static let hour = minute * 60
    private static let year = hour * 8760
    private static let looks = Duration.milliseconds(100)...hour

    static let downloads: [ConfigurationKey] = [
        ConfigurationKey("downloads.sourceKey", .sourceKey, \.downloads.sourceKey, .functions),
        ConfigurationKey("downloads.archivePrefix", .archivePrefix, \.downloads.archivePrefix, .functions),
        ConfigurationKey(
            "downloads.urlLifetime", .duration(.seconds(1)...(hour * 168)), \.downloads.presignedURLLifetime, .functions
        ),
        ConfigurationKey(
            "downloads.archiveLifetime", .duration(minute...year), \.downloads.archiveLifetime, .functions),
        ConfigurationKey(
            "downloads.recordRetention", .duration(minute...year), \.downloads.recordRetention, .functions),
        ConfigurationKey(
            "downloads.progressInterval", .duration(.milliseconds(10)...minute), \.downloads.progressInterval,
            .functions),
        ConfigurationKey("downloads.partSize", .size(5 << 20...1 << 30), \.downloads.partBytes, .functions),
        ConfigurationKey("downloads.fetchAhead", .integer(1...64), \.downloads.fetchAhead, .functions),
        ConfigurationKey("downloads.fetchAheadSize", .size(1 << 20...1 << 30), \.downloads.fetchAheadBytes, .functions),
        ConfigurationKey(
            "downloads.fileTimeout", .duration(.seconds(1)...(hour * 24)), \.downloads.fileTimeout, .functions),
        ConfigurationKey("downloads.onMissing", .choice, \.downloads.onMissing, .functions),
        ConfigurationKey("downloads.startDelay", .duration(.zero...(minute * 2)), \.downloads.startDelay, .functions),
        ConfigurationKey("downloads.attempts", .integer(1...100), \.downloads.attempts, .functions),
        ConfigurationKey("downloads.retryDelay", .duration(.zero...hour), \.downloads.retryDelay, .functions),
        ConfigurationKey(
            "downloads.keepCompleted", .duration(.zero...(hour * 720)), \.downloads.keepCompleted, .functions),
        ConfigurationKey("downloads.sweepGrace", .duration(minute...(hour * 720)), \.downloads.sweepGrace, .functions),
        ConfigurationKey(
            "downloads.idempotencyLifetime", .duration(minute...(hour * 720)), \.downloads.idempotencyLifetime,
            .functions),
        ConfigurationKey("downloads.reconcileInterval", .duration(looks), \.downloads.reconcileInterval, .functions),
        ConfigurationKey("downloads.reconcileAge", .duration(looks), \.downloads.reconcileAge, .functions),
        ConfigurationKey(
            "downloads.reconcileLease", .duration(.seconds(1)...(minute * 10)), \.downloads.reconcileLease, .functions),
    ]
}

extension ConfigurationForm where Value == String {
    fileprivate static var sourceKey: Self {
        text("a key in which {file_id} occurs, up to 900 bytes") {
            $0.contains("{file_id}") && $0.utf8.count <= 900 ? $0 : nil
        }
    }

    fileprivate static var archivePrefix: Self {
        text("a text that ends in \"/\", up to 900 bytes") { $0.hasSuffix("/") && $0.utf8.count <= 900 ? $0 : nil }
    }
}
