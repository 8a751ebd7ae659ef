extension Configuration {
    mutating func applyOpenAPI(_ root: StrictReader.Object, with reader: inout StrictReader) {
        guard let section = reader.object(root, "openapi", keys: ["enabled", "title", "version"]) else { return }
        set(&openAPI.isEnabled, reader.bool(section, "enabled"))
        func text(_ key: String) -> String? {
            reader.value(section, key, "a text of 1 to 128 characters") { json in
                json.string.flatMap { (1...128).contains($0.count) ? $0 : nil }
            }
        }
        set(&openAPI.title, text("title"))
        set(&openAPI.version, text("version"))
    }
}
