/// An error that the host itself answers, before a function or for it.
struct HostAnswer {
    let status: Int
    let codes: [String]
    let description: String
    /// Header fields that it always has.
    var fields: [String] = []

    /// Its name among the components.
    var component: String { "\(status)" }

    /// The errors of the mere protocol, on any route.
    private static let ofProtocol = [
        HostAnswer(status: 400, codes: ["malformed_request"], description: "The request breaks the protocol."),
        HostAnswer(status: 408, codes: ["request_timeout"], description: "The request did not come in time."),
        HostAnswer(
            status: 413, codes: ["content_too_large"], description: "The body is larger than this route accepts."),
        HostAnswer(status: 414, codes: ["uri_too_long"], description: "The request line is too long."),
        HostAnswer(
            status: 417, codes: ["expectation_failed"], description: "Something else than 100-continue is expected."),
        HostAnswer(
            status: 431, codes: ["request_header_fields_too_large"],
            description: "The header fields are too large or too many."),
        HostAnswer(
            status: 500, codes: ["internal_server_error"],
            description: "Something went wrong; the host's log tells more under the request's id."),
        HostAnswer(status: 501, codes: ["not_implemented"], description: "A transfer coding other than chunked."),
        HostAnswer(
            status: 503, codes: ["service_unavailable", "saturated"],
            description: "Too much is being worked on, or a store is away. Try again."),
        HostAnswer(
            status: 504, codes: ["gateway_timeout"],
            description: "The answer took longer than this route may take."),
        HostAnswer(
            status: 505, codes: ["http_version_not_supported"],
            description: "A version of HTTP other than 1.1 and 1.0."),
    ]

    /// The answer to a method that a path lacks, which belongs to no operation.
    static let methodNotAllowed = HostAnswer(
        status: 405, codes: ["method_not_allowed"], description: "The path does not have that method.",
        fields: ["Allow"])

    /// What the host can answer on its own routes.
    static let ofHost = ofProtocol.map { answer in
        answer.status == 503
            ? HostAnswer(status: 503, codes: ["service_unavailable"], description: answer.description) : answer
    }

    /// What the host can answer on a function's route, by status.
    static func all(_ manifest: FunctionManifest, _ settings: OpenAPISettings) -> [HostAnswer] {
        var answers = ofProtocol
        let isLasting = !manifest.trigger.isRequest
        let needsUser = manifest.access != .anonymous
        if settings.mode == .jwt || (settings.mode == .header && (needsUser || isLasting)) {
            let codes =
                (needsUser ? ["unauthorized"] : []) + (settings.mode == .jwt || isLasting ? ["invalid_token"] : [])
            answers.append(
                HostAnswer(
                    status: 401, codes: codes, description: "Nobody is known to ask, or the token is not valid.",
                    fields: ["WWW-Authenticate"]))
        }
        let isAdmin = manifest.access == .admin && settings.mode != .none
        let isSocket = if case .webSocket = manifest.trigger { true } else { false }
        if isAdmin || isSocket {
            answers.append(
                HostAnswer(
                    status: 403, codes: (isAdmin ? ["forbidden"] : []) + (isSocket ? ["origin_not_allowed"] : []),
                    description: isAdmin ? "This needs an admin." : "Pages of this origin may not open sockets here."))
        }
        if isSocket {
            answers.append(
                HostAnswer(
                    status: 426, codes: ["upgrade_required"],
                    description: "This path is for sockets: the request must ask for version 13 of WebSocket.",
                    fields: ["Sec-WebSocket-Version"]))
        }
        if manifest.trigger.path?.contains("/:") == true {
            answers.append(
                HostAnswer(status: 404, codes: ["not_found"], description: "There is nothing at this path."))
        }
        if case .cloudEvents = manifest.trigger {
            answers.append(
                HostAnswer(
                    status: 415, codes: ["unsupported_media_type"], description: "The body is no event of a known form."
                ))
        }
        if settings.hasLimits, !manifest.rateLimit.isEmpty {
            answers.append(
                HostAnswer(
                    status: 429, codes: ["rate_limited"], description: "A budget is used up.",
                    fields: ["Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]))
        }
        if settings.isIsolated {
            answers.append(
                HostAnswer(
                    status: 502, codes: ["function_crashed"],
                    description: "The function's process ended before it had answered."))
            answers = answers.map { answer in
                answer.status == 503
                    ? HostAnswer(
                        status: 503, codes: answer.codes + ["function_unavailable"], description: answer.description)
                    : answer
            }
        }
        return answers
    }
}
