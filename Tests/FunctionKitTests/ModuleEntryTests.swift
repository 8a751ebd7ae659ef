import FunctionKit
import Testing

private struct Echo: TypedHTTPFunction {
    struct Input: Codable, Sendable { let text: String }
    func handle(_ input: Input, _ request: Request, _ context: Context) async throws -> Input { input }
}

private struct Doubler: QueueFunction {
    func process(_ job: QueueJob<Int>, _ context: Context) async throws -> Int {
        try await context.progress(["attempt": job.attempt])
        return job.payload * 2
    }
}

private func context(progress: (@Sendable (String) async throws -> Void)? = nil) -> Context {
    Context(
        logger: Logger(label: "test"), function: "test", requestID: "r", deadline: .now + .seconds(5),
        bindings: Bindings(), reportProgress: progress)
}

@Suite struct ModuleEntryTests {
    @Test func wrapsTypedHandlersInJSON() async throws {
        guard case .http(let call) = ModuleEntry(http: Echo.self).handler else {
            Issue.record("not an HTTP handler")
            return
        }
        let request = Request(method: .post, path: "/", body: ByteBuffer(string: #"{"text":"hi"}"#))
        let response = try await call(request, context())
        #expect(response.status == .ok)
        #expect(response.headers[.contentType] == "application/json")
        #expect(String(buffer: response.body) == #"{"text":"hi"}"#)
    }

    @Test func givesQueueHandlersTheirPayloadAndTakesTheirResult() async throws {
        guard case .queue(let call) = ModuleEntry(queue: Doubler.self).handler else {
            Issue.record("not a queue handler")
            return
        }
        func job(_ data: String) -> QueueJob<String> {
            QueueJob(
                id: "1", name: "n", queue: "q", payload: data, attempt: 2, maxAttempts: 3,
                addedAt: Timestamp(milliseconds: 0))
        }
        try await confirmation { reported in
            let result = try await call(
                job("21"),
                context { json in
                    #expect(json == #"{"attempt":2}"#)
                    reported()
                })
            #expect(result == "42")
        }
        let failure = await #expect(throws: Permanent.self) { try await call(job("\"x\""), context()) }
        #expect(failure?.errorClass == .validation)
    }

    @Test func refusesStoresThatAreNotConfigured() {
        let error = #expect(throws: HTTPError.self) { try Bindings().keyValue }
        #expect(error?.status == .serviceUnavailable)
    }
}
