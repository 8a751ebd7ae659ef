import Foundation
import Testing

@testable import Host

/// docs/configuration.md against the code, both ways.
@Suite struct ConfigurationDocumentTests {
    private static let rows = ConfigurationDocument.rows.filter { !$0.path.hasPrefix("limits.budgets.") }

    /// What must be said besides, so that a value at the end of its range fits the others.
    private static let companions = [
        "downloads.recordRetention": #""archiveLifetime": "1m""#,
        "downloads.archiveLifetime": #""recordRetention": "8760h""#,
    ]

    @Test func `each key of the code is documented once, and nothing else is`() {
        let documented = Self.rows.map(\.path)
        let known = ConfigurationKey.all.map(\.path).filter { $0 != "limits.budgets" }
        #expect(Set(documented).symmetricDifference(known) == [])
        #expect(documented.count == Set(documented).count)
        let budget = Set(ConfigurationDocument.rows.map(\.path)).subtracting(documented)
        #expect(budget == ["limits.budgets.NAME.per", "limits.budgets.NAME.count", "limits.budgets.NAME.window"])
    }

    @Test(arguments: rows)
    func `the documented type is the code's`(_ row: ConfigurationDocument.Row) throws {
        let kind = try #require(ConfigurationKey.byPath[row.path]).kind
        let types: [String: Set<ConfigurationKey.Kind>] = [
            "integer": [.integer], "size": [.size], "duration": [.duration], "boolean": [.boolean],
            "secret text": [.secret], "level": [.choice], "text": [.text], "path": [.text], "paths": [.text],
            "URL": [.text], "path or URL": [.text], "field name": [.text], "address, `\"off\"`": [.text],
            "array": [.list], "array of texts": [.list], "array of addresses": [.list],
        ]
        // What else there is names its choices.
        #expect((types[row.type] ?? [.choice]).contains(kind), "\(row.type)")
        if kind == .choice, types[row.type] == nil {
            #expect(row.type.filter { $0 != "`" } == ConfigurationKey.byPath[row.path]?.bounds)
        }
    }

    @Test(arguments: rows)
    func `the documented default is accepted and changes nothing`(_ row: ConfigurationDocument.Row) throws {
        let key = try #require(ConfigurationKey.byPath[row.path])
        let defaults = Configuration()
        guard let own = key.value(in: defaults) else {
            // There is none to be written; words tell what holds then.
            #expect(ConfigurationDocument.json(row.defaultText, key.kind) == nil)
            return
        }
        let text = row.defaultText
        let written: String =
            switch key.kind {
            case .integer, .size, .duration: try #require(Self.number(text, key.kind))
            case .text, .choice: "\"\(text.filter { $0 != "`" })\""
            default: text.filter { $0 != "`" }
            }
        let configuration = try load(row.path, written)
        #expect(!key.differs(defaults, configuration), "\(written) is not \(own.text())")
        #expect(configuration.sources[row.path] != nil)
    }

    @Test(arguments: rows.filter { $0.bounds != nil && $0.path != "storage.bucket" })
    func `the ends of the documented range are accepted, and what is beyond is refused`(
        _ row: ConfigurationDocument.Row
    ) throws {
        let key = try #require(ConfigurationKey.byPath[row.path])
        let (lower, upper) = try #require(row.bounds)
        for (end, step) in [(lower, -1), (upper, 1)] {
            let accepted = try #require(ConfigurationDocument.json(end, key.kind))
            #expect(throws: Never.self) { try load(row.path, accepted) }
            let beyond = try #require(ConfigurationDocument.json(end, key.kind, beyond: step))
            // There is no time before none.
            guard !beyond.hasPrefix("\"-") else { continue }
            let error = #expect(throws: Configuration.Invalid.self) { try load(row.path, beyond) }
            #expect(error?.problems.first?.reason.hasPrefix("\(row.path) must be ") == true)
        }
    }

    @Test func `each number and time has a documented range`() {
        let bounded = ConfigurationKey.all.filter { [.integer, .size, .duration].contains($0.kind) }.map(\.path)
        let documented = Self.rows.filter { $0.bounds != nil }.map(\.path)
        #expect(Set(bounded).subtracting(documented) == [])
    }

    @Test(arguments: rows)
    func `the documented variables are the code's`(_ row: ConfigurationDocument.Row) throws {
        let key = try #require(ConfigurationKey.byPath[row.path])
        let named = row.meaning.matches(of: /`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`/).map { String($0.1) }
            .filter { !$0.hasPrefix("AWS_") }
        // The name that each key has need not be told.
        let common = key.variables.filter { $0 != ConfigurationKey.variable(of: row.path) && $0 != "PORT" }
        #expect(Set(named).subtracting([ConfigurationKey.variable(of: row.path)]) == Set(common))
    }

    private static func number(_ text: String, _ kind: ConfigurationKey.Kind) -> String? {
        guard text.contains(".") else { return ConfigurationDocument.json(text, kind) }
        // Two and a half seconds.
        return text.hasSuffix(" s") ? Double(text.dropLast(2)).map { "\"\(Int($0 * 1000))ms\"" } : nil
    }

    private func load(_ path: String, _ json: String) throws -> Configuration {
        var text = "\"\(path.split(separator: ".").last ?? "")\": \(json)"
        if let companion = Self.companions[path] { text += ", \(companion)" }
        for (other, value) in [("http.tls.key", "certificate"), ("http.tls.certificate", "key")] where path == other {
            text += ", \"\(value)\": \"x\""
        }
        for section in path.split(separator: ".").dropLast().reversed() { text = "\"\(section)\": {\(text)}" }
        return try ConfigurationFile("{\(text)}").load()
    }
}
