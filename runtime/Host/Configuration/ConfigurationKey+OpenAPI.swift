extension ConfigurationKey {
    static let openAPI: [ConfigurationKey] = [
        ConfigurationKey("openapi.enabled", .boolean, \.openAPI.isEnabled),
        ConfigurationKey("openapi.title", .label, \.openAPI.title),
        ConfigurationKey("openapi.version", .label, \.openAPI.version),
    ]
}

extension ConfigurationForm where Value == String {
    fileprivate static var label: Self {
        text("a text of 1 to 128 characters") { (1...128).contains($0.count) ? $0 : nil }
    }
}
