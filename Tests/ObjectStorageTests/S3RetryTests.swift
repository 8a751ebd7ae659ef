import FunctionKit
import Logging
import NIOCore
import Testing

@testable import ObjectStorage

@Suite(.timeLimit(.minutes(2))) struct S3RetryTests: StoreFixture {
    static let slowDown = FaultServer.reply(
        "503 Slow Down", [], "<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>")

    // MARK: - Retries

    @Test(arguments: [
        "503 Slow Down", "500 Internal", "502 Bad Gateway", "504 Gateway Timeout", "429 Too Many Requests",
    ])
    func transientAnswersAreTriedAgain(_ status: String) async throws {
        let answer = { @Sendable (number: Int, request: FaultServer.Request) -> [FaultServer.Step] in
            number < 2 ? FaultServer.reply(status) : FaultServer.reply("200 OK", ["ETag: \"x\""])
        }
        try await withStore(answer) { store, server in
            let part = try await store.uploadPart(
                ObjectUpload(key: "k", id: "u"), number: 9, body: [ByteBuffer(string: "again")])
            #expect(part == ObjectPart(number: 9, etag: "\"x\""))
            #expect(server.requests.map { String(buffer: $0.body) } == ["again", "again", "again"])
            #expect(Set(server.requests.map(\.target)).count == 1)
        }
    }

    @Test func triesEnd() async throws {
        try await withStore(answering { _, _ in Self.slowDown }) { store, server in
            let error = await failure {
                try await store.write("k", body: ByteBuffer(string: "x"), contentType: "a/b", checksum: nil)
            }
            #expect(error?.status == 503 && error?.s3Code == "SlowDown" && error?.isUnavailable == true)
            #expect(error?.description == "PUT object failed: 503 SlowDown")
            #expect(error?.detail == "Reduce your rate")
            #expect(server.requests.count == 3)
        }
    }

    @Test(arguments: [400, 403, 404, 409, 411, 412, 501, 301, 307]) func otherAnswersAreNot(_ status: Int) async throws
    {
        let answer = { @Sendable (_: Int, _: FaultServer.Request) -> [FaultServer.Step] in
            FaultServer.reply("\(status) X", ["Location: http://127.0.0.1:1/"], "<html><p>A proxy's own page")
        }
        try await withStore(answer) { store, server in
            let error = await failure {
                try await store.write("k", body: ByteBuffer(string: "x"), contentType: "a/b", checksum: nil)
            }
            #expect(error?.status == status && error?.s3Code == nil && error?.isUnavailable == false)
            #expect(server.requests.count == 1)
        }
    }

    @Test func lostConnectionsAreTriedAgainAndDeadlinesToo() async throws {
        let answer = { @Sendable (number: Int, _: FaultServer.Request) -> [FaultServer.Step] in
            [[.close], [.hang], FaultServer.reply("204 No Content")][min(number, 2)]
        }
        try await withStore(timeout: .seconds(3), answer) { store, server in
            try await store.delete("k")
            #expect(server.requests.count == 3)
        }
    }

    /// Answers come before the client has noted the end of its upload, and the connection ends at once.
    @Test func aServerThatHangsUpAfterEachAnswerHarmsNothing() async throws {
        let answer = answering { _, _ in FaultServer.reply("200 OK", ["ETag: \"x\""]) + [.close] }
        try await withStore(answer) { store, _ in
            let doneCount = await withTaskGroup(of: Int.self) { group in
                for worker in 0..<8 {
                    group.addTask {
                        var doneCount = 0
                        for number in 0..<25 {
                            do {
                                try await store.write(
                                    "\(worker)-\(number)", body: ByteBuffer(string: "x"), contentType: "a/b",
                                    checksum: nil)
                                doneCount += 1
                            } catch let error as S3Error where error.code == .transport {
                                continue  // All tries met a connection that had just ended.
                            } catch { Issue.record("\(error)") }
                        }
                        return doneCount
                    }
                }
                return await group.reduce(0, +)
            }
            #expect(doneCount > 100)
        }
    }

    @Test func anAbsentServerIsAnErrorOfTheNetwork() async throws {
        let server = try await FaultServer.start { _, _ in [] }
        let port = server.port
        try await server.stop()
        let store = S3ObjectStore(
            try S3Configuration(
                bucket: "bucket", endpoint: S3Endpoint("http://127.0.0.1:\(port)"), credentials: Self.credentials,
                retry: S3RetryPolicy(attemptCount: 2, baseDelay: .milliseconds(1))), logger: Logger(label: "test"))
        let error = await failure { try await store.delete("k") }
        #expect(error?.code == .transport && error?.isUnavailable == true)
        try await store.shutdown()
        #expect(await failure { try await store.delete("k") }?.code == .transport)
    }

    // MARK: - Completing

    static let upload = ObjectUpload(key: "k", id: "u")
    static let parts = [ObjectPart(number: 1, etag: "\"d41d8cd98f00b204e9800998ecf8427e\"")]
    static let finalTag = "\"59adb24ef3cdbe0297f05b395827453f-1\""
    static let complete = FaultServer.reply("200 OK", [], "<CompleteMultipartUploadResult/>")

    private func completing(
        _ answers: [[FaultServer.Step]], objectTag: String?
    ) async throws -> (error: (any Error)?, methods: [String]) {
        let answer = { @Sendable (number: Int, request: FaultServer.Request) -> [FaultServer.Step] in
            guard request.method == "HEAD" else { return answers[min(number, answers.count - 1)] }
            guard let objectTag else { return [.write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")] }
            return [.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \(objectTag)\r\n\r\n")]
        }
        return try await withStore(answer) { store, server in
            do {
                try await store.completeUpload(Self.upload, parts: Self.parts)
                return (nil, server.requests.map(\.method))
            } catch { return (error, server.requests.map(\.method)) }
        }
    }

    @Test func anErrorInsideA200IsTriedAgain() async throws {
        let failed = FaultServer.reply(
            "200 OK", [], "  \n<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>x</Message></Error>")
        let (error, methods) = try await completing([failed, Self.complete], objectTag: nil)
        #expect(error == nil && methods == ["POST", "POST"])
        let (last, all) = try await completing([failed], objectTag: nil)
        #expect((last as? S3Error)?.s3Code == "InternalError" && (last as? S3Error)?.status == 200)
        #expect(all == ["POST", "POST", "POST", "HEAD"])
    }

    @Test func aPermanentErrorInsideA200IsNot() async throws {
        let failed = FaultServer.reply("200 OK", [], "<Error><Code>InvalidPart</Code></Error>")
        let (error, methods) = try await completing([failed], objectTag: Self.finalTag)
        #expect((error as? S3Error)?.s3Code == "InvalidPart" && methods == ["POST"])
    }

    @Test func aLostAnswerIsAskedForAndTheObjectTells() async throws {
        let gone = FaultServer.reply("404 Not Found", [], "<Error><Code>NoSuchUpload</Code></Error>")
        let (error, methods) = try await completing([[.close], gone], objectTag: Self.finalTag)
        #expect(error == nil && methods == ["POST", "POST", "HEAD"])
        for tag in [nil, "\"59adb24ef3cdbe0297f05b395827453f-2\""] {
            let (error, _) = try await completing([[.close], gone], objectTag: tag)
            #expect((error as? S3Error)?.s3Code == "NoSuchUpload")
        }
        let cut = [FaultServer.Step.write("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n<Complete"), .close]
        let (none, tries) = try await completing([cut], objectTag: Self.finalTag)
        #expect(none == nil && tries == ["POST", "POST", "POST", "HEAD"])
    }
}
