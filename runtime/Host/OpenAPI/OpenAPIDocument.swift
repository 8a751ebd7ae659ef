internal import FunctionKit
internal import NIOCore

/// The interface of a process as an OpenAPI 3.1 document: its functions' routes and the host's own.
///
/// A function that tells its `responses` has every error with the codes that it can have, those of the host included; one
/// that tells nothing has the host's errors and an answer of which nothing is known.
struct OpenAPIDocument {
    /// A function that requests call.
    struct Operation {
        let name: String
        let manifest: FunctionManifest
    }

    let settings: OpenAPISettings
    let operations: [Operation]

    /// Makes a document; functions without a route are passed over.
    init(_ functions: [(name: String, manifest: FunctionManifest)], _ settings: OpenAPISettings) {
        self.settings = settings
        operations = functions.filter { $0.manifest.trigger.path != nil }.sorted { $0.name < $1.name }
            .map { Operation(name: $0.name, manifest: $0.manifest) }
    }

    /// The document as JSON.
    func bytes() -> ByteBuffer {
        var writer = JSONWriter(capacity: 64 << 10)
        let document: DocumentValue = [
            "openapi": "3.1.1",
            "info": [
                "title": .text(settings.options.title), "version": .text(settings.options.version),
                "description": .text(Self.description),
            ],
            "servers": [["url": "/"]],
            "paths": paths,
            "components": components,
        ]
        document.write(to: &writer)
        return writer.buffer
    }

    private static let description = """
        Errors have one shape, `Error`, with a `code` for programs. Each answer has an `x-request-id`: the caller's where the \
        request had one of 1 to 128 visible ASCII characters. `HEAD` is answered wherever `GET` is, `OPTIONS` everywhere with \
        `Allow`, and what is no route with 404 `not_found`.
        """

    private var paths: DocumentValue {
        var items: [(path: String, members: [(String, DocumentValue)])] = []
        var indices: [String: Int] = [:]
        for operation in operations {
            guard let (method, path) = operation.route else { continue }
            // Templates that differ in names only are the same path (OpenAPI 3.1, section 4.8.8.2): the first one's names hold.
            let key = RoutePattern.key(method: "", path: path)
            let index = indices[key] ?? items.count
            if index == items.count {
                indices[key] = index
                items.append((path, []))
            }
            let names = RoutePattern.parameters(of: items[index].path)
            items[index].members.append(member(method, value(operation, names)))
        }
        for route in hostRoutes { items.append((route.path, [("get", route.operation)])) }
        let other: (String, DocumentValue) = (
            "x-other-methods", ["405": .reference("responses/\(HostAnswer.methodNotAllowed.component)")]
        )
        return .object(
            items.sorted { $0.path < $1.path }.map { item in
                (Self.template(item.path), .object(Self.merged(item.members) + [other]))
            })
    }

    /// A member of a path item. Methods that OpenAPI does not know are told of in an extension.
    private func member(_ method: String, _ operation: DocumentValue) -> (String, DocumentValue) {
        let known = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"]
        return known.contains(method)
            ? (method.lowercased(), operation) : ("x-operations", .object([(method, operation)]))
    }

    private static func merged(_ members: [(String, DocumentValue)]) -> [(String, DocumentValue)] {
        var merged: [(String, DocumentValue)] = []
        for (name, value) in members {
            if let index = merged.firstIndex(where: { $0.0 == name }), case .object(let first) = merged[index].1,
                case .object(let second) = value
            {
                merged[index].1 = .object(first + second)
            } else {
                merged.append((name, value))
            }
        }
        return merged
    }

    /// `/a/:b` as `/a/{b}`.
    static func template(_ path: String) -> String {
        path.split(separator: "/", omittingEmptySubsequences: false).map { segment in
            segment.hasPrefix(":")
                ? "{\(segment.dropFirst())}"
                : segment.replacing("{", with: "%7B").replacing("}", with: "%7D")
        }.joined(separator: "/")
    }
}

extension OpenAPIDocument.Operation {
    var route: (method: String, path: String)? {
        switch manifest.trigger {
        case .http(let method, let path), .cloudEvents(let method, let path): (method, path)
        case .sse(let path), .webSocket(let path): ("GET", path)
        case .queue, .schedule: nil
        }
    }
}
