internal import FunctionKit

extension OpenAPIDocument {
    /// The errors of the host's that are the same on several routes, by status.
    var sharedAnswers: [Int: HostAnswer] {
        var shared: [Int: HostAnswer] = [:]
        for answer in HostAnswer.ofHost + [HostAnswer.methodNotAllowed] { shared[answer.status] = answer }
        for operation in operations {
            for answer in HostAnswer.all(operation.manifest, settings) { shared[answer.status] = answer }
        }
        return shared
    }

    var components: DocumentValue {
        var schemas: [String: DocumentValue] = ["Error": Self.error]
        for operation in operations {
            if case .cloudEvents = operation.manifest.trigger { schemas["CloudEvent"] = Self.event }
            for (name, schema) in operation.manifest.interface.components { schemas[name] = .json(schema) }
        }
        let responses = sharedAnswers.values.sorted { $0.status < $1.status }.map { answer in
            (
                answer.component,
                DocumentValue.members(
                    ("description", .text(answer.description)), ("headers", headers([], answer.fields)),
                    ("content", ["application/json": ["schema": openError(answer.status)]]))
            )
        }
        return .members(
            ("schemas", .object(schemas.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })),
            ("responses", .object(responses)), ("headers", Self.fields), ("securitySchemes", securitySchemes))
    }

    /// The schema of a shared error: its codes are closed unless functions that tell nothing may add their own.
    private func openError(_ status: Int) -> DocumentValue {
        guard let answer = sharedAnswers[status], !operations.contains(where: { $0.manifest.interface.answers == nil })
        else { return .reference("schemas/Error") }
        return [
            "allOf": [.reference("schemas/Error"), ["properties": ["code": ["enum": .names(answer.codes)]]]]
        ]
    }

    private static let error: DocumentValue = [
        "type": "object", "description": "What went wrong.",
        "required": ["error", "code", "message", "requestId"],
        "properties": [
            "error": ["type": "string", "description": "The reason phrase of the status."],
            "code": [
                "type": "string", "description": "What went wrong, for programs.", "pattern": "^[a-z][a-z0-9_]*$",
            ],
            "message": ["type": "string", "description": "What went wrong, for people."],
            "requestId": ["type": "string", "description": "The id under which the host's log tells more."],
            "details": [
                "type": "array", "description": "What is wrong with the input, one by one.",
                "items": [
                    "type": "object", "required": ["field", "problem"],
                    "properties": [
                        "field": [
                            "type": "string",
                            "description": "A path such as file_ids[3]; empty for the body itself.",
                        ],
                        "problem": ["type": "string"],
                    ],
                    "additionalProperties": false,
                ],
            ],
        ],
        "additionalProperties": false,
    ]

    /// CloudEvents 1.0, JSON format.
    private static let event: DocumentValue = [
        "type": "object", "required": ["specversion", "id", "source", "type"],
        "properties": [
            "specversion": ["const": "1.0"], "id": ["type": "string", "minLength": 1],
            "source": ["type": "string", "minLength": 1], "type": ["type": "string", "minLength": 1],
            "subject": ["type": "string", "minLength": 1], "time": ["type": "string", "format": "date-time"],
            "datacontenttype": ["type": "string", "minLength": 1],
            "dataschema": ["type": "string", "minLength": 1], "data": .object([]),
            "data_base64": ["type": "string", "contentEncoding": "base64"],
        ],
    ]

    private static var fields: DocumentValue {
        let number: DocumentValue = ["type": "integer", "minimum": 0]
        let budget = [
            ("RateLimit-Limit", "How many the tightest budget has."),
            ("RateLimit-Remaining", "How many are left."),
            ("RateLimit-Reset", "The seconds until it is full again."),
        ]
        func field(_ description: String, _ schema: DocumentValue, isRequired: Bool = true) -> DocumentValue {
            .members(
                ("description", .text(description)), ("required", isRequired ? true : nil), ("schema", schema))
        }
        let text: DocumentValue = ["type": "string", "minLength": 1]
        return .object(
            [
                ("x-request-id", field("The request's id.", ["type": "string", "minLength": 1, "maxLength": 128])),
                ("Allow", field("The methods that the path has.", text)),
                ("WWW-Authenticate", field("How to say who asks.", text)),
                ("Sec-WebSocket-Version", field("The version that is spoken.", text)),
                ("Retry-After", field("The seconds after which to try again.", number)),
            ]
                + budget.flatMap { name, description in
                    [
                        (name, field(description, number)),
                        ("\(name)-optional", field(description, number, isRequired: false)),
                    ]
                })
    }

    private var securitySchemes: DocumentValue? {
        let ticket: (String, DocumentValue) = (
            "ticket",
            [
                "type": "apiKey", "in": "query", "name": "ticket",
                "description": "For browsers, which cannot set header fields on streams and sockets.",
            ]
        )
        switch settings.mode {
        case .none: return nil
        case .header:
            let proxy: DocumentValue = [
                "type": "apiKey", "in": "header", "name": .text(settings.header),
                "description": "The caller's id, set by a trusted proxy.",
            ]
            return .object([("proxy", proxy), ticket])
        case .jwt:
            return .object([("token", ["type": "http", "scheme": "bearer", "bearerFormat": "JWT"]), ticket])
        }
    }
}
