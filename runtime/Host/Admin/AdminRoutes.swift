internal import FunctionKit
internal import NIOCore

/// The routes of the admin listener: what is loaded, and the call of a function by hand.
public enum AdminRoutes {
    /// The largest body of a call, in bytes.
    private static let maxBodyBytes = 16 << 20

    /// Makes the routes.
    ///
    /// - Parameters:
    ///   - runners: The loaded functions.
    ///   - token: What callers must send as `Authorization: Bearer …`; others get 401.
    ///   - processes: The processes of functions that have their own.
    /// - Returns: The routes, for a server of their own.
    public static func make(
        _ runners: [FunctionRunner], token: AdminToken, processes: IsolatedFunctions? = nil
    ) -> [HostRoute] {
        let byName = Dictionary(runners.map { ($0.function.name, $0) }) { first, _ in first }
        return [
            HostRoute("GET", "/admin/functions") { request in
                try authorize(request, token)
                return list(runners, processes)
            },
            HostRoute(
                "POST", "/admin/functions/:name", timeout: .seconds(86_400) + .seconds(60), maxBodyBytes: maxBodyBytes
            ) { request in
                try authorize(request, token)
                guard let runner = byName[request.parameter("name") ?? ""] else {
                    throw HTTPError(.notFound, code: "unknown_function", message: "No function of that name is loaded.")
                }
                let input = try InvocationInput(
                    request.body, for: runner.function.manifest, requestID: request.id)
                return try await DirectInvocation(runner: runner, requestID: request.id).run(input)
            },
        ]
    }

    private static func authorize(_ request: Request, _ token: AdminToken) throws {
        guard token.authorizes(request.headers[.authorization]) else {
            throw HTTPError(
                .unauthorized, message: "The admin listener wants its token: Authorization: Bearer …",
                headers: [.wwwAuthenticate: "Bearer"])
        }
    }

    private static func list(_ runners: [FunctionRunner], _ processes: IsolatedFunctions?) -> Response {
        var json = JSONWriter()
        json.object { json in
            json.key("functions")
            json.array { json in
                for runner in runners {
                    let counts = runner.counts
                    json.object { json in
                        json.key("name")
                        json.value(runner.function.name)
                        json.key("trigger")
                        json.value(runner.function.manifest.trigger.summary)
                        json.key("running")
                        json.value(counts.running)
                        json.key("waiting")
                        json.value(counts.waiting)
                        guard let processes else { return }
                        json.key("processes")
                        json.array { json in
                            for process in processes.processes(of: runner.function.name) { process.write(to: &json) }
                        }
                    }
                }
            }
        }
        return .json(encoded: json.buffer)
    }
}

extension FunctionProcessStatus {
    fileprivate func write(to json: inout JSONWriter) {
        json.object { json in
            if let pid {
                json.key("pid")
                json.value(Int(pid))
            }
            json.key("state")
            json.value(state.rawValue)
            json.key("inFlight")
            json.value(inFlight)
            json.key("ageMs")
            json.value(Int(age / .milliseconds(1)))
            if let coldStart {
                json.key("coldMs")
                json.value(Int(coldStart / .milliseconds(1)))
            }
        }
    }
}
