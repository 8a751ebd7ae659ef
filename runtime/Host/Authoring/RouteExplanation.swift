/// Which function answers a request, and why: `ferry explain`. The host's own router decides.
public struct RouteExplanation: Sendable {
    /// What the router says.
    public enum Outcome: Sendable, Hashable {
        /// A function answers; its name, and the values of its parameters.
        case function(String, parameters: [String: String])
        /// The host answers by itself.
        case host
        /// The host answers with the allowed methods.
        case options(allow: String)
        /// No route: 404; the routes that were perhaps meant.
        case notFound(nearest: [String])
        /// The path is one, but not with this method: 405.
        case methodNotAllowed(allow: String)
        /// A wrong percent escape: 400.
        case malformed
    }

    /// A route whose path matches.
    public struct Candidate: Sendable, Hashable {
        /// The function's name, or `the host`.
        public let owner: String
        /// Method and path.
        public let route: String
        /// Why it answers or does not.
        public let verdict: String
        /// Whether it answers.
        public let isChosen: Bool
    }

    /// What happens.
    public let outcome: Outcome
    /// The routes whose path matches, the one that answers first.
    public let candidates: [Candidate]

    private static let host = "the host"
    private static let nearestCount = 3

    /// Asks the router.
    ///
    /// - Parameters:
    ///   - method: The request's method.
    ///   - path: Its path as sent; a query is passed over.
    ///   - manifests: The functions by name.
    /// - Throws: ``RouteConflict`` when two routes are equal.
    public init(method: String, path: String, manifests: [String: FunctionManifest]) throws {
        let path = String(path.prefix { $0 != "?" })
        let routes = Self.routes(manifests)
        let router = try Router(routes)
        var effective = method
        var match = router.match(method: method, path: path)
        // As the connection does: HEAD is answered wherever GET is.
        if case .methodNotAllowed = match, method == "HEAD",
            case .found(let route, let parameters) = router.match(method: "GET", path: path)
        {
            effective = "GET"
            match = .found(route, parameters: parameters)
        }
        var chosen: Route?
        switch match {
        case .found(let index, let parameters):
            let route = Route(routes[index])
            chosen = route
            outcome = route.owner == Self.host ? .host : .function(route.owner, parameters: parameters)
        case .methodNotAllowed(let allow):
            outcome = method == "OPTIONS" ? .options(allow: allow) : .methodNotAllowed(allow: allow)
        case .malformed: outcome = .malformed
        case .notFound:
            outcome = .notFound(nearest: Self.nearest(method, path, routes.map(Route.init)))
        }
        candidates = try Self.candidates(routes, effective, path, chosen)
    }

    /// A route by itself.
    private struct Route: Hashable {
        let method: String
        let path: String
        let owner: String

        init(_ route: Router<Int>.Route) {
            (method, path, owner) = (route.method, route.path, route.owner)
        }

        var text: String { "\(method) \(path)" }
        var segments: [Substring] { path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) }
    }

    /// All routes; each endpoint is its own index.
    private static func routes(_ manifests: [String: FunctionManifest]) -> [Router<Int>.Route] {
        var routes = (HealthRoutes.paths + DocumentRoutes.paths).map { ("GET", $0, host) }
        for (name, manifest) in manifests.sorted(by: { $0.key < $1.key }) {
            switch manifest.trigger {
            case .http(let method, let path), .cloudEvents(let method, let path): routes.append((method, path, name))
            case .sse(let path), .webSocket(let path): routes.append(("GET", path, name))
            case .queue, .schedule: continue
            }
        }
        return routes.enumerated().map { index, route in
            Router<Int>.Route(method: route.0, path: route.1, owner: route.2, endpoint: index)
        }
    }

    /// The routes that match the path when they are asked alone.
    private static func candidates(
        _ routes: [Router<Int>.Route], _ method: String, _ path: String, _ chosen: Route?
    ) throws -> [Candidate] {
        var others: [Candidate] = []
        var first: [Candidate] = []
        for route in routes {
            let candidate = Route(route)
            let verdict: String
            switch try Router([route]).match(method: method, path: path) {
            case .found where candidate == chosen:
                first = [Candidate(owner: route.owner, route: candidate.text, verdict: "answers", isChosen: true)]
                continue
            case .found: verdict = chosen.map { reason($0, beats: candidate) } ?? "does not answer"
            case .methodNotAllowed: verdict = "has another method, \(route.method)"
            case .notFound, .malformed: continue
            }
            others.append(Candidate(owner: route.owner, route: candidate.text, verdict: verdict, isChosen: false))
        }
        return first + others
    }

    /// The first segment from the left where one route is literal and the other has a parameter.
    private static func reason(_ winner: Route, beats loser: Route) -> String {
        for (index, (literal, parameter)) in zip(winner.segments, loser.segments).enumerated()
        where !literal.hasPrefix(":") && parameter.hasPrefix(":") {
            return "segment \(index + 1): the literal \"\(literal)\" beats the parameter \(parameter)"
        }
        return "is less literal"
    }

    /// The routes that somebody probably meant: with few edits, or with the most leading segments in common.
    private static func nearest(_ method: String, _ path: String, _ routes: [Route]) -> [String] {
        let asked = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        // A parameter stands for whatever is in its place.
        let filled = routes.map { route in
            let segments = route.segments.enumerated().map { index, segment in
                segment.hasPrefix(":") && index < asked.count ? asked[index] : segment
            }
            return "\(route.method) /" + segments.joined(separator: "/")
        }
        let close = Suggestion.nearest(to: "\(method) \(path)", in: filled).flatMap { text in
            filled.firstIndex(of: text).map { routes[$0].text }
        }
        let related = routes.map { route in
            (count: zip(route.segments, asked).prefix { $0 == $1 }.count, text: route.text)
        }.filter { $0.count > 0 }.sorted { ($1.count, $0.text) < ($0.count, $1.text) }.map(\.text)
        let all = (close.map { [$0] } ?? []) + related.filter { $0 != close }
        return Array(all.prefix(nearestCount))
    }
}
