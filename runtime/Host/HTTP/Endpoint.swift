internal import FunctionKit

/// What a route leads to. A class, so that matching copies one reference.
final class Endpoint: Sendable {
    enum Target: Sendable {
        case function(FunctionRunner, @Sendable (Request, Context) async throws -> Response)
        case host(HostRoute)
    }

    /// The function's name, or `host`.
    let name: String
    let target: Target
    let maxBodyBytes: Int
    let timeout: Duration

    init(_ runner: FunctionRunner, handler: @escaping @Sendable (Request, Context) async throws -> Response) {
        name = runner.function.name
        target = .function(runner, handler)
        maxBodyBytes = runner.function.manifest.maxBodyBytes
        timeout = runner.function.manifest.timeout
    }

    init(_ route: HostRoute) {
        name = "host"
        target = .host(route)
        maxBodyBytes = HostRoute.maxBodyBytes
        timeout = HostRoute.timeout
    }
}

extension Router where Endpoint == Host.Endpoint {
    /// The routes of the functions that have one, and the host's own.
    init(functions: [FunctionRunner], hostRoutes: [HostRoute]) throws(RouteConflict) {
        var routes = hostRoutes.map { route in
            Route(method: route.method, path: route.path, owner: "the host", endpoint: Endpoint(route))
        }
        for runner in functions {
            guard case .http(let method, let path) = runner.function.manifest.trigger,
                case .http(let handler) = runner.function.handler
            else { continue }
            routes.append(
                Route(
                    method: method, path: path, owner: runner.function.name,
                    endpoint: Endpoint(runner, handler: handler)))
        }
        try self.init(routes)
    }
}
