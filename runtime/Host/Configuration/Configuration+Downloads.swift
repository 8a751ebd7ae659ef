internal import Downloads

extension Configuration {
    private static let downloadKeys = [
        "sourceKey", "archivePrefix", "urlLifetime", "archiveLifetime", "recordRetention", "progressInterval",
        "partSize",
        "fetchAhead", "fetchAheadSize", "fileTimeout", "onMissing", "startDelay", "attempts", "retryDelay",
        "keepCompleted", "sweepGrace", "idempotencyLifetime", "reconcileInterval", "reconcileAge", "reconcileLease",
    ]

    mutating func applyDownloads(_ root: StrictReader.Object, with reader: inout StrictReader) {
        guard let section = reader.object(root, "downloads", keys: Configuration.downloadKeys) else { return }
        let sourceKey = reader.value(section, "sourceKey", "a key in which {file_id} occurs, up to 900 bytes") { json in
            json.string.flatMap { $0.contains("{file_id}") && $0.utf8.count <= 900 ? $0 : nil }
        }
        set(&downloads.sourceKey, sourceKey)
        let prefix = reader.value(section, "archivePrefix", "a text that ends in \"/\", up to 900 bytes") { json in
            json.string.flatMap { $0.hasSuffix("/") && $0.utf8.count <= 900 ? $0 : nil }
        }
        set(&downloads.archivePrefix, prefix)
        let minute = Duration.seconds(60)
        let hour = minute * 60
        let year = hour * 8760
        set(&downloads.presignedURLLifetime, reader.duration(section, "urlLifetime", in: .seconds(1)...(hour * 168)))
        set(&downloads.archiveLifetime, reader.duration(section, "archiveLifetime", in: minute...year))
        set(&downloads.recordRetention, reader.duration(section, "recordRetention", in: minute...year))
        set(&downloads.progressInterval, reader.duration(section, "progressInterval", in: .milliseconds(10)...minute))
        set(&downloads.partBytes, reader.byteCount(section, "partSize", in: 5 << 20...1 << 30))
        set(&downloads.fetchAhead, reader.integer(section, "fetchAhead", in: 1...64))
        set(&downloads.fetchAheadBytes, reader.byteCount(section, "fetchAheadSize", in: 1 << 20...1 << 30))
        set(&downloads.fileTimeout, reader.duration(section, "fileTimeout", in: .seconds(1)...(hour * 24)))
        set(&downloads.onMissing, reader.choice(section, "onMissing"))
        set(&downloads.startDelay, reader.duration(section, "startDelay", in: .zero...(minute * 2)))
        set(&downloads.attempts, reader.integer(section, "attempts", in: 1...100))
        set(&downloads.retryDelay, reader.duration(section, "retryDelay", in: .zero...hour))
        set(&downloads.keepCompleted, reader.duration(section, "keepCompleted", in: .zero...(hour * 720)))
        set(&downloads.sweepGrace, reader.duration(section, "sweepGrace", in: minute...(hour * 720)))
        let lifetime = reader.duration(section, "idempotencyLifetime", in: minute...(hour * 720))
        set(&downloads.idempotencyLifetime, lifetime)
        set(
            &downloads.reconcileInterval, reader.duration(section, "reconcileInterval", in: .milliseconds(100)...hour))
        set(&downloads.reconcileAge, reader.duration(section, "reconcileAge", in: .milliseconds(100)...hour))
        set(&downloads.reconcileLease, reader.duration(section, "reconcileLease", in: .seconds(1)...(minute * 10)))
        if downloads.recordRetention < downloads.archiveLifetime {
            reader.report(
                section.json, section.path(of: "recordRetention"),
                "must not be shorter than archiveLifetime, \(UnitText.text(downloads.archiveLifetime))")
        }
    }
}
