extension OpenAPIDocument {
    /// The host's own routes.
    var hostRoutes: [(path: String, operation: DocumentValue)] {
        let health: [(String, DocumentValue)] = [
            (
                "/health",
                route(
                    "health", "Tells whether the stores answer.",
                    200, ("Every store answers.", Self.healthBody("healthy")),
                    also: (503, "A store does not answer.", Self.healthBody("unhealthy")))
            ),
            (
                "/health/liveness",
                route(
                    "health-liveness", "Tells that the process runs.", 200, ("It runs.", Self.statusBody("alive")))
            ),
            (
                "/health/readiness",
                route(
                    "health-readiness", "Tells whether the process takes work.", 200,
                    ("It takes work.", Self.statusBody("ready")),
                    codes: ["draining", "threads_lost"])
            ),
        ]
        let documents = [
            (
                DocumentRoutes.document,
                route(
                    "openapi", "Gives this document.", 200,
                    ("The document.", ["application/json": ["schema": ["type": "object"]]]), isCached: true)
            ),
            (
                DocumentRoutes.page,
                route(
                    "docs", "Shows this document as a page.", 200,
                    ("The page.", ["text/html": ["schema": ["type": "string"]]]), isCached: true)
            ),
        ]
        return (settings.hasHealth ? health : []) + documents
    }

    private static func statusBody(_ status: DocumentValue) -> DocumentValue {
        json(["status": ["const": status]], required: ["status"])
    }

    private static func healthBody(_ status: DocumentValue) -> DocumentValue {
        json(
            [
                "status": ["const": status],
                "checks": [
                    "type": "object", "description": "The stores.",
                    "additionalProperties": ["enum": status.isHealthy ? ["ok"] : ["ok", "error"]],
                ],
            ], required: ["status", "checks"])
    }

    private static func json(_ properties: DocumentValue, required: DocumentValue) -> DocumentValue {
        [
            "application/json": [
                "schema": [
                    "type": "object", "required": required, "properties": properties, "additionalProperties": false,
                ]
            ]
        ]
    }

    private func route(
        _ name: String, _ description: String, _ status: Int, _ answer: (description: String, content: DocumentValue),
        also other: (status: Int, description: String, content: DocumentValue)? = nil, codes: [String] = [],
        isCached: Bool = false
    ) -> DocumentValue {
        func value(_ description: String, _ content: DocumentValue) -> DocumentValue {
            .members(
                ("description", .text(description)), ("headers", headers(isCached ? [Self.entityTag] : [], [])),
                ("content", content))
        }
        var answers: [(Int, DocumentValue)] = [(status, value(answer.description, answer.content))]
        for host in HostAnswer.ofHost where host.status != other?.status {
            if host.status == 503, !codes.isEmpty {
                let content = Self.errorContent(codes + host.codes)
                answers.append((503, value("The process takes no work.", content)))
            } else {
                answers.append((host.status, shared(host)))
            }
        }
        if let other { answers.append((other.status, value(other.description, other.content))) }
        if isCached {
            answers.append(
                (304, .members(("description", "The caller has it."), ("headers", headers([Self.entityTag], [])))))
        }
        let condition: DocumentValue = [
            ["name": "If-None-Match", "in": "header", "schema": ["type": "string"]]
        ]
        return .members(
            ("operationId", .text(name)), ("summary", .text(String(description.dropLast()))),
            ("description", .text(description)), ("parameters", isCached ? condition : nil),
            ("responses", .object(answers.sorted { $0.0 < $1.0 }.map { ("\($0.0)", $0.1) })))
    }

    private func shared(_ answer: HostAnswer) -> DocumentValue { .reference("responses/\(answer.component)") }

    private static let entityTag = FunctionInterface.Field(
        name: "ETag", isRequired: true, schema: PositionedJSON(object: [("type", .string("string"))]))
}

extension DocumentValue {
    fileprivate var isHealthy: Bool { if case .text("healthy") = self { true } else { false } }
}
