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

    init(_ runner: FunctionRunner, _ target: Target) {
        name = runner.function.name
        self.target = target
        maxBodyBytes = runner.function.manifest.maxBodyBytes
        timeout = runner.function.manifest.timeout
    }

    init(_ route: HostRoute) {
        name = "host"
        target = .host(route)
        maxBodyBytes = route.maxBodyBytes
        timeout = route.timeout
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
