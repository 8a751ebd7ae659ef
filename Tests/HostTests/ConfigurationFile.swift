import Foundation

@testable import Host

/// A configuration in a file of its own, which goes with this.
final class ConfigurationFile {
    let folder: String
    let path: String

    init(_ text: String, mode: Int = 0o600) throws {
        folder = FileManager.default.temporaryDirectory.path + "/ferry-config-\(UUID().uuidString)"
        path = folder + "/config.json"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try write(text, to: "config.json", mode: mode)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    @discardableResult
    func write(_ text: String, to name: String, mode: Int = 0o600) throws -> String {
        let path = "\(folder)/\(name)"
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    func load(_ environment: [String: String] = [:]) throws -> Configuration {
        try Configuration.load(file: path, environment: environment)
    }

    /// What is wrong, one problem a line; empty when nothing is.
    func problems(_ environment: [String: String] = [:]) -> [String] {
        do {
            _ = try Configuration.load(file: path, environment: environment)
            return []
        } catch {
            return error.problems.map { "\($0)".replacingOccurrences(of: folder + "/", with: "") }
        }
    }
}
