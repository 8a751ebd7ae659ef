/// The files of a new function, which shows the shape of its kind.
struct FunctionTemplate {
    let name: String
    let trigger: FunctionManifest.Trigger

    /// The handler's type. The suffix keeps a function called `request` from hiding FunctionKit's `Request`.
    var typeName: String {
        let words = name.split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }
        let joined = words.joined()
        return (joined.first?.isNumber == true ? "Function" : "") + joined + "Handler"
    }

    /// The handler's source.
    var source: String {
        """
        import FunctionKit

        \(declaration)

        """
    }

    /// What the handler does with the sample, as JSON for its fixture; `nil` where only its success can be told.
    var expectation: String? {
        switch trigger {
        case .http(let method, _) where method == "HEAD": #"{ "status": 200, "body": "" }"#
        case .http(let method, _) where FunctionSample.hasBody(method):
            #"{ "status": 200, "body": \#(FunctionSample.body) }"#
        case .http: "{ \"status\": 200, \"body\": \"\(answer { $0 })\\n\" }"
        case .cloudEvents: "{ \"status\": 200, \"body\": \(FunctionSample.event) }"
        case .sse: #"{ "status": 200, "events": [{ "event": "hello", "data": "1" }] }"#
        case .webSocket: #"{ "status": 101, "messages": ["hello"] }"#
        case .queue(_, .process): #"{ "outcome": "completed", "returnValue": \#(FunctionSample.body) }"#
        case .queue, .schedule: nil
        }
    }

    /// The text that an HTTP handler without a body answers with.
    private func answer(_ value: (String) -> String) -> String {
        guard case .http(_, let path) = trigger else { return name }
        let parameters = path.split(separator: "/").filter { $0.hasPrefix(":") }.map { String($0.dropFirst()) }
        return ([name] + parameters.map { "\($0)=\(value($0))" }).joined(separator: " ")
    }

    private var declaration: String {
        switch trigger {
        case .http(let method, let path) where FunctionSample.hasBody(method):
            """
            /// Answers `\(method) \(path)`: JSON in, JSON out.
            struct \(typeName): TypedHTTPFunction {
                struct Message: Codable {
                    let message: String
                }

                func handle(_ input: Message, _ request: Request, _ context: Context) async throws -> Message {
                    Message(message: input.message)
                }
            }
            """
        case .http(let method, let path):
            """
            /// Answers `\(method) \(path)`.
            struct \(typeName): HTTPFunction {
                func handle(_ request: Request, _ context: Context) async throws -> Response {
                    .text("\(answer { "\\(request.parameter(\"\($0)\") ?? \"\")" })\\n")
                }
            }
            """
        case .cloudEvents(let method, let path):
            """
            /// Takes the events that are sent to `\(method) \(path)`, and answers each with itself; `nil` answers 204.
            struct \(typeName): CloudEventFunction {
                func handle(_ event: CloudEvent, _ request: Request, _ context: Context) async throws -> CloudEvent? {
                    context.logger.info("event", metadata: ["type": "\\(event.type)", "id": "\\(event.id)"])
                    return event
                }
            }
            """
        case .sse(let path):
            """
            /// Answers `GET \(path)` with events.
            struct \(typeName): StreamFunction {
                func stream(_ request: Request, _ events: EventStream, _ context: Context) async throws {
                    try await events.send(ServerSentEvent("1", name: "hello"))
                }
            }
            """
        case .webSocket(let path):
            """
            /// Sends each message of a socket at `\(path)` back.
            struct \(typeName): WebSocketFunction {
                func handle(_ request: Request, _ upgrade: WebSocketUpgrade, _ context: Context) async throws {
                    let socket = try await upgrade.accept()
                    for try await message in socket { try await socket.send(message) }
                }
            }
            """
        case .queue(let queue, .process):
            """
            /// Works the jobs of the queue `\(queue)`.
            struct \(typeName): QueueFunction {
                struct Message: Codable {
                    let message: String
                }

                func process(_ job: QueueJob<Message>, _ context: Context) async throws -> Message {
                    context.logger.info("working", metadata: ["attempt": "\\(job.attempt)"])
                    return job.payload
                }
            }
            """
        case .queue(let queue, let moment):
            """
            /// Handles the `\(moment.rawValue)` events of the queue `\(queue)`. An event may come more than once.
            struct \(typeName): EventFunction {
                func handle(_ event: QueueEvent, _ context: Context) async throws {
                    context.logger.info("\(moment.rawValue)", metadata: ["job": "\\(event.jobID)", "data": "\\(event.data)"])
                }
            }
            """
        case .schedule(let pattern, let zone):
            """
            /// Runs at `\(pattern)` (\(zone)). A tick may run twice when its process dies.
            struct \(typeName): ScheduledFunction {
                func run(_ tick: ScheduledTick, _ context: Context) async throws {
                    context.logger.info("tick", metadata: ["at": "\\(tick.at)"])
                }
            }
            """
        }
    }
}
