internal import FunctionKit
internal import Logging

/// `/health`, `/health/liveness` and `/health/readiness`.
enum HealthRoutes {
    private static let health = "/health"
    private static let liveness = "/health/liveness"
    private static let readiness = "/health/readiness"

    /// The paths; all are of `GET`.
    static let paths = [health, liveness, readiness]

    /// Makes the routes; `unreadiness` tells why the process should get no new work, if so.
    static func make(
        _ monitor: HealthMonitor, logger: Logger,
        unreadiness: @escaping @Sendable () -> (code: String, message: String)?
    ) -> [HostRoute] {
        [
            HostRoute("GET", health) { request in
                let report = await monitor.report()
                for (name, failure) in report.results {
                    guard let failure else { continue }
                    logger.warning(
                        "a store does not answer",
                        metadata: ["store": "\(name)", "reason": "\(failure)", "request_id": "\(request.id)"])
                }
                return try response(report)
            },
            HostRoute("GET", liveness) { _ in try status("alive") },
            HostRoute("GET", readiness) { _ in
                if let reason = unreadiness() { throw ErrorResponse.unavailable(reason.message, code: reason.code) }
                return try status("ready")
            },
        ]
    }

    private struct Body: Encodable {
        var status: String
        var checks: [String: String]?
    }

    private static func status(_ text: String) throws -> Response {
        try uncached(Body(status: text), .ok)
    }

    /// Says which stores fail, not why: that is in the log.
    private static func response(_ report: HealthMonitor.Report) throws -> Response {
        let checks = Dictionary(report.results.map { ($0.name, $0.failure == nil ? "ok" : "error") }) { $1 }
        let body = Body(status: report.isHealthy ? "healthy" : "unhealthy", checks: checks)
        return try uncached(body, report.isHealthy ? .ok : .serviceUnavailable)
    }

    private static func uncached(_ body: Body, _ status: HTTPResponse.Status) throws -> Response {
        var response = try Response.json(body, status: status)
        response.headers[.cacheControl] = "no-store"
        return response
    }
}
