/// Finds what answers a request. A value, built once.
///
/// Paths are split at `/` first and percent-decoded after that, once, so an encoded slash is part of its segment. A literal
/// segment beats a parameter, from left to right; a parameter takes one segment that is not empty, so a trailing slash
/// makes another path. Methods count: a pattern that lacks the method leaves the request to a less literal one that has it.
///
/// A path without parameters and escapes is one dictionary lookup. The others walk a trie of segments.
struct Router<Endpoint: Sendable>: Sendable {
    /// A route to be.
    struct Route: Sendable {
        let method: String
        let path: String
        /// The function's name, for errors.
        let owner: String
        let endpoint: Endpoint
    }

    enum Match {
        case found(Endpoint, parameters: [String: String])
        case notFound
        case methodNotAllowed(allow: String)
        /// A wrong percent escape, or one that is not UTF-8.
        case malformed
    }

    private struct Method: Sendable {
        let name: String
        let owner: String
        let path: String
        let parameterNames: [String]
        let endpoint: Endpoint
    }

    private struct Node: Sendable {
        var literals: [(segment: [UInt8], node: Int)] = []
        var parameter: Int?
        var methods: [Method] = []

        func method(_ name: String) -> Method? { methods.first { $0.name == name } }
    }

    private var nodes = [Node()]
    private var literalPaths: [String: Int] = [:]
    /// Every method of every route, with HEAD and OPTIONS.
    let allMethods: String

    /// Builds the table.
    ///
    /// - Throws: ``RouteConflict`` naming both owners of two equal routes.
    init(_ routes: [Route]) throws(RouteConflict) {
        allMethods = Self.allow(routes.map(\.method))
        for route in routes {
            var node = 0
            var names: [String] = []
            let segments = route.path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
            for segment in segments {
                if segment.hasPrefix(":") {
                    names.append(String(segment.dropFirst()))
                    node = parameterChild(of: node)
                } else {
                    node = literalChild(of: node, Array(segment.utf8))
                }
            }
            if let other = nodes[node].method(route.method) {
                throw RouteConflict(
                    method: route.method, path: route.path, owner: route.owner, otherPath: other.path,
                    otherOwner: other.owner)
            }
            nodes[node].methods.append(
                Method(
                    name: route.method, owner: route.owner, path: route.path, parameterNames: names,
                    endpoint: route.endpoint))
            if names.isEmpty { literalPaths[route.path] = node }
        }
    }

    private mutating func parameterChild(of node: Int) -> Int {
        if let child = nodes[node].parameter { return child }
        nodes.append(Node())
        nodes[node].parameter = nodes.count - 1
        return nodes.count - 1
    }

    private mutating func literalChild(of node: Int, _ segment: [UInt8]) -> Int {
        if let child = nodes[node].literals.first(where: { $0.segment == segment }) { return child.node }
        nodes.append(Node())
        nodes[node].literals.append((segment, nodes.count - 1))
        return nodes.count - 1
    }

    /// Finds the endpoint of a path as sent, without the query.
    func match(method: String, path: String) -> Match {
        if let node = literalPaths[path], let found = nodes[node].method(method) {
            return .found(found.endpoint, parameters: [:])
        }
        var path = path
        return path.withUTF8 { bytes in
            guard bytes.first == UInt8(ascii: "/") else { return .notFound }
            if bytes.contains(UInt8(ascii: "%")) {
                guard let (decoded, segments) = PathSegments.decode(bytes) else { return .malformed }
                return decoded.withUnsafeBufferPointer { search(method, $0, segments) }
            }
            return search(method, bytes, PathSegments.split(bytes))
        }
    }

    private func search(_ method: String, _ bytes: UnsafeBufferPointer<UInt8>, _ segments: [Range<Int>]) -> Match {
        var walk = Walk(method: method, bytes: bytes, segments: segments)
        guard let found = visit(0, 0, &walk) else {
            return walk.otherMethods.isEmpty ? .notFound : .methodNotAllowed(allow: Self.allow(walk.otherMethods))
        }
        var parameters: [String: String] = [:]
        for (name, segment) in zip(found.parameterNames, walk.captured) {
            guard let value = String(validating: bytes[segments[segment]], as: UTF8.self) else { return .malformed }
            parameters[name] = value
        }
        return .found(found.endpoint, parameters: parameters)
    }

    private struct Walk {
        let method: String
        let bytes: UnsafeBufferPointer<UInt8>
        let segments: [Range<Int>]
        /// The segments taken by parameters on the way to the current node.
        var captured: [Int] = []
        var otherMethods: [String] = []
    }

    private func visit(_ index: Int, _ depth: Int, _ walk: inout Walk) -> Method? {
        let node = nodes[index]
        if depth == walk.segments.count {
            if let found = node.method(walk.method) { return found }
            walk.otherMethods += node.methods.map(\.name)
            return nil
        }
        let segment = UnsafeBufferPointer(rebasing: walk.bytes[walk.segments[depth]])
        for literal in node.literals where literal.segment.elementsEqual(segment) {
            if let found = visit(literal.node, depth + 1, &walk) { return found }
        }
        guard let parameter = node.parameter, !segment.isEmpty else { return nil }
        walk.captured.append(depth)
        if let found = visit(parameter, depth + 1, &walk) { return found }
        walk.captured.removeLast()
        return nil
    }

    /// The value of `Allow`: the methods, HEAD where GET is, and OPTIONS.
    private static func allow(_ methods: [String]) -> String {
        var all = Set(methods)
        if all.contains("GET") { all.insert("HEAD") }
        all.insert("OPTIONS")
        return all.sorted().joined(separator: ", ")
    }
}
