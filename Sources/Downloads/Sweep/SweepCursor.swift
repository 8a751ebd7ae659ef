internal import FunctionKit

/// Where the next sweep goes on in a listing, kept in Redis: `ferry:sweep:<name>`, the id, a space, the key.
struct SweepCursor: Sendable {
    struct Place: Sendable, Hashable {
        let key: String
        let id: String
    }

    /// A place that nobody came back to is outdated: the listing begins anew.
    private static let lifetimeMs = "86400000"

    private let name: String
    private let store: any KeyValueStore

    init(_ name: String, _ store: any KeyValueStore) {
        self.name = "ferry:sweep:\(name)"
        self.store = store
    }

    /// The place, or `nil` for the beginning.
    func load() async throws -> Place? {
        guard let text = try await store.send(["GET", name]).string, let space = text.firstIndex(of: " ") else {
            return nil
        }
        return Place(key: String(text[text.index(after: space)...]), id: String(text[..<space]))
    }

    /// Keeps a place; `nil` has the next sweep begin at the beginning.
    func save(_ place: Place?) async throws {
        if let place {
            _ = try await store.send(["SET", name, "\(place.id) \(place.key)", "PX", Self.lifetimeMs])
        } else {
            _ = try await store.send(["DEL", name])
        }
    }
}
