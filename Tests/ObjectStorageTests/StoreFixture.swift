import FunctionKit
import Logging
import NIOCore
import Testing

@testable import ObjectStorage

/// What the tests of the store share: a store in front of a ``FaultServer``.
protocol StoreFixture {}

extension StoreFixture {
    static var credentials: S3Credentials {
        S3Credentials(accessKeyID: "AKID", secretAccessKey: S3Secret("very-secret"))
    }

    func withStore<Value>(
        timeout: Duration = .seconds(10),
        _ answer: @escaping @Sendable (Int, FaultServer.Request) -> [FaultServer.Step],
        _ body: (S3ObjectStore, FaultServer) async throws -> Value
    ) async throws -> Value {
        let server = try await FaultServer.start(answer)
        let store = S3ObjectStore(
            try S3Configuration(
                bucket: "bucket", endpoint: S3Endpoint("http://127.0.0.1:\(server.port)"),
                credentials: Self.credentials,
                timeout: timeout,
                retry: S3RetryPolicy(
                    attemptCount: 3, baseDelay: .milliseconds(2), maximumDelay: .milliseconds(5))),
            logger: Logger(label: "test"))
        do {
            let value = try await body(store, server)
            try await store.shutdown()
            try await server.stop()
            return value
        } catch {
            try await store.shutdown()
            try await server.stop()
            throw error
        }
    }

    /// Names a closure, so that it is not mistaken for the trailing one.
    func answering(
        _ answer: @escaping @Sendable (Int, FaultServer.Request) -> [FaultServer.Step]
    ) -> @Sendable (Int, FaultServer.Request) -> [FaultServer.Step] { answer }

    /// The error of an operation that must fail.
    func failure(_ body: () async throws -> Void) async -> S3Error? {
        do {
            try await body()
            Issue.record("no error")
            return nil
        } catch let error as S3Error {
            #expect(!"\(error) \(error.debugDescription)".contains("very-secret"))
            #expect(!"\(error)".contains("http"))
            return error
        } catch {
            Issue.record("\(error)")
            return nil
        }
    }

    /// Waits until a number of connections have ended.
    func closes(_ count: Int, _ server: FaultServer) async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while server.closed < count, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(2)) }
        #expect(server.closed == count)
    }

    /// Waits until a number of requests have come in.
    func receives(_ count: Int, _ server: FaultServer) async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while server.requests.count < count, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(2))
        }
        #expect(server.requests.count == count)
    }

    func collect(_ body: ObjectBody) async throws -> String {
        var text = ""
        for try await chunk in body.chunks { text += String(buffer: chunk) }
        return text
    }
}
