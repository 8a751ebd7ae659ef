internal import FunctionKit

/// What a route leads to. A class, so that matching copies one reference.
final class Endpoint: Sendable {
    enum Target: Sendable {
        case function(FunctionRunner, @Sendable (Request, Context) async throws -> Response)
        case stream(FunctionRunner, @Sendable (Request, EventStream, Context) async throws -> Void)
        case webSocket(FunctionRunner, @Sendable (Request, WebSocketUpgrade, Context) async throws -> Void)
        case host(HostRoute)
    }

    /// The function's name, or `host`.
    let name: String
    let target: Target
    let maxBodyBytes: Int
    let timeout: Duration
    /// Who may call.
    let access: FunctionManifest.Access
    /// The budgets that a call takes from.
    let rateLimit: [String]

    /// Whether it is a function: the host's own routes are open to all.
    var isFunction: Bool { if case .host = target { false } else { true } }

    /// Whether it answers with an event stream or a socket.
    var isLasting: Bool {
        switch target {
        case .stream, .webSocket: true
        case .function, .host: false
        }
    }

    init(_ runner: FunctionRunner, _ target: Target) {
        name = runner.function.name
        self.target = target
        maxBodyBytes = runner.function.manifest.maxBodyBytes
        timeout = runner.function.manifest.timeout
        access = runner.function.manifest.access
        rateLimit = runner.function.manifest.rateLimit
    }

    init(_ route: HostRoute) {
        name = "host"
        target = .host(route)
        maxBodyBytes = route.maxBodyBytes
        timeout = route.timeout
        access = .anonymous
        rateLimit = []
    }
}

extension Router where Endpoint == Host.Endpoint {
    /// The routes of the functions that have one, and the host's own.
    init(functions: [FunctionRunner], hostRoutes: [HostRoute]) throws(RouteConflict) {
        var routes = hostRoutes.map { route in
            Route(method: route.method, path: route.path, owner: "the host", endpoint: Endpoint(route))
        }
        for runner in functions {
            let (method, path, target): (String, String, Endpoint.Target)
            switch (runner.function.manifest.trigger, runner.function.handler) {
            case (.http(let name, let pattern), .http(let handler)),
                (.cloudEvents(let name, let pattern), .http(let handler)):
                (method, path, target) = (name, pattern, .function(runner, handler))
            case (.sse(let pattern), .stream(let handler)):
                (method, path, target) = ("GET", pattern, .stream(runner, handler))
            case (.webSocket(let pattern), .webSocket(let handler)):
                (method, path, target) = ("GET", pattern, .webSocket(runner, handler))
            default: continue
            }
            routes.append(
                Route(method: method, path: path, owner: runner.function.name, endpoint: Endpoint(runner, target)))
        }
        try self.init(routes)
    }
}
