import AsyncHTTPClient
import FunctionKit
import Glibc
import Host
import NIOCore
import NIOHTTP1

/// A host's admin listener, as its callers see it.
struct AdminClient {
    private let base: String
    private let name: String
    private let token: String

    /// Finds the listener.
    ///
    /// - Parameters:
    ///   - target: `local` for the socket of the data folder, or a base URL.
    ///   - token: What the command line says of the token, and, unless the target is `local`, the environment; the data
    ///     folder's where that is nothing.
    ///   - dataFolder: The data folder.
    /// - Throws: ``CommandFailure`` when no host runs there, or when there is no token.
    init(target: String, token: TokenOptions?, dataFolder: String) throws {
        if target == "local" {
            let path = AdminSocket.path(in: dataFolder)
            guard AdminSocket.isServed(path) else {
                throw CommandFailure(
                    "no host with an admin listener runs on the data folder \(dataFolder). Start one with "
                        + "\"ferry serve --data \(dataFolder)\" (or make run), or name its admin listener with --target"
                )
            }
            base = "http+unix://\(PercentEncoding.encode(path))"
            name = path
        } else {
            base = HostAddress(target)?.url ?? target
            name = base
        }
        if let given = try token?.secret(usesEnvironment: target != "local") {
            self.token = given.value
        } else if target == "local" {
            self.token = try Payload.file(AdminToken.path(in: dataFolder)).filter { !$0.isWhitespace }
        } else {
            throw CommandFailure(
                "--target needs the token of the host's admin listener, the contents of its <data>/admin.token: "
                    + DownloadClient.tokenHint)
        }
    }

    /// Calls a function.
    ///
    /// - Parameters:
    ///   - function: The function's name.
    ///   - body: The invocation, JSON in the form of fixtures.
    ///   - isReplay: Whether this replays a recording, which the host then does not record.
    /// - Returns: What came of it.
    /// - Throws: ``CommandFailure`` with what the host says when it did not call it.
    func invoke(_ function: String, _ body: String, isReplay: Bool = false) async throws -> PositionedJSON {
        var settings = HTTPClient.Configuration(timeout: .init(connect: .seconds(5)))
        settings.connectionPool.retryConnectionEstablishment = false
        let http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
        let result: Result<PositionedJSON, any Error>
        do {
            result = .success(try await call(http, function, body, isReplay))
        } catch {
            result = .failure(error)
        }
        try? await http.shutdown()
        return try result.get()
    }

    private func call(
        _ http: HTTPClient, _ function: String, _ body: String, _ isReplay: Bool
    ) async throws -> PositionedJSON {
        var request = HTTPClientRequest(url: "\(base)/admin/functions/\(function)")
        request.method = .POST
        // A socket has no name of its own, and every request must bear one.
        if base.hasPrefix("http+unix:") { request.headers.add(name: "host", value: "localhost") }
        request.headers.add(name: "authorization", value: "Bearer \(token)")
        request.headers.add(name: "content-type", value: "application/json")
        if isReplay {
            let id = InvocationRecorder.replayPrefix + String(UInt64.random(in: 0 ... .max), radix: 16)
            request.headers.add(name: "x-request-id", value: id)
        }
        request.body = .bytes(ByteBuffer(string: body))
        let response: HTTPClientResponse
        let answer: ByteBuffer
        do {
            // No function may run for longer than a day.
            response = try await http.execute(request, timeout: .hours(25))
            answer = try await response.body.collect(upTo: 256 << 20)
        } catch {
            throw CommandFailure("no answer from \(name): \(DownloadClient.reason(error))")
        }
        guard let json = try? PositionedJSON.parse(Array(answer.readableBytesView)) else {
            throw CommandFailure("\(name) answered \(response.status.code) with something that is not of this API")
        }
        guard response.status == .ok else {
            let details = (json["details"]?.elements ?? []).map { detail in
                "\n  \(detail["field"]?.string ?? ""): \(detail["problem"]?.string ?? "")"
            }.joined()
            let message = json["message"]?.string ?? "that is no answer of Ferry's admin listener"
            throw CommandFailure(
                "\(function): \(response.status.code): \(Terminal.plain(message + details, lines: true))")
        }
        return json
    }
}
