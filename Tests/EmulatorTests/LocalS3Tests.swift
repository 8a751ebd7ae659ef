import AsyncHTTPClient
import Foundation
import FunctionKit
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ObjectStorage
import Testing

@testable import Emulator

/// The endpoint over real sockets; other clients are in `Tests/Integration/test_s3_endpoint.py`.
@Suite struct LocalS3Tests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func make(port: Int = 0) throws -> LocalS3 {
        try LocalS3(
            dataFolder: folder.path, port: port, bucket: "bucket", logger: quiet,
            group: MultiThreadedEventLoopGroup.singleton)
    }

    /// Serves while the body runs.
    private func serving<Result: Sendable>(_ body: (LocalS3, String) async throws -> Result) async throws -> Result {
        let endpoint = try make()
        let task = Task { try await endpoint.run() }
        do {
            let result = try await body(endpoint, try await endpoint.waitUntilServing(within: .seconds(30)))
            task.cancel()
            _ = await task.result
            return result
        } catch {
            task.cancel()
            _ = await task.result
            throw error
        }
    }

    /// Serves the same store with limits that a test can wait for.
    private func listening<Result: Sendable>(
        _ endpoint: LocalS3, stallLimit: TimeAmount = .seconds(60), signOfLife: Duration = .seconds(5),
        logger: Logger = quiet, _ body: (Int) async throws -> Result
    ) async throws -> Result {
        let connections = S3Connections(limit: 4)
        let listener = try await S3Listener.bind(
            host: "127.0.0.1", port: 0, group: MultiThreadedEventLoopGroup.singleton, connections: connections,
            stallLimit: stallLimit)
        let service = S3Service(
            store: endpoint.store, credentials: endpoint.credentials, region: endpoint.region, hostNames: [],
            pool: .singleton, logger: logger)
        let connection = S3Connection(
            service: service, connections: connections, logger: quiet, signOfLife: signOfLife)
        let task = Task { await listener.serve(connection, onClosed: {}) }
        let result: Result
        do {
            result = try await body(listener.port)
        } catch {
            task.cancel()
            _ = await task.result
            throw error
        }
        task.cancel()
        _ = await task.result
        return result
    }

    /// Sends a text on a connection of its own and gives all that comes back until it is closed.
    private func exchange(_ text: String, port: Int) async throws -> String {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            if !text.isEmpty { try await outbound.write(ByteBuffer(string: text)) }
            var answer = ""
            for try await piece in inbound { answer += String(buffer: piece) }
            return answer
        }
    }

    private func isListening(_ url: String) async -> Bool {
        guard let port = url.split(separator: ":").last.flatMap({ Int($0) }) else { return false }
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        guard let channel = try? await bootstrap.connect(host: "127.0.0.1", port: port).get() else { return false }
        try? await channel.close()
        return true
    }

    private func status(_ url: String, headers: [(String, String)] = []) async throws -> UInt {
        var request = HTTPClientRequest(url: url)
        // Not a kept one, to an endpoint that may have ended since.
        request.headers.add(name: "connection", value: "close")
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
        _ = try await response.body.collect(upTo: 1 << 20)
        return response.status.code
    }

    private func presigned(
        _ endpoint: LocalS3, _ url: String, key: String, expirySeconds: Int = 60, at time: Timestamp = .now,
        method: String = "GET"
    ) throws -> String {
        S3Presigner(
            endpoint: try S3Endpoint(url), bucket: "bucket", addressing: .path,
            signer: SigV4Signer(credentials: endpoint.credentials, region: endpoint.region)
        ).url(method: method, key: key, expirySeconds: expirySeconds, at: time)
    }

    @Test func aPresignedURLIsGoodForItsKeyAndTimeOnly() async throws {
        try await serving { endpoint, url in
            try endpoint.store.write(Array("hello".utf8), to: "bucket", "a b/ü+%.txt")
            try endpoint.store.write([1], to: "bucket", "other")
            let good = try presigned(endpoint, url, key: "a b/ü+%.txt")
            #expect(try await status(good) == 200)
            #expect(try await status(good.replacing("%2B", with: "+")) == 200)
            #expect(try await status(good.replacing("127.0.0.1", with: "localhost")) == 403)
            #expect(try await status(good.dropLast() + (good.hasSuffix("0") ? "1" : "0")) == 403)
            #expect(try await status(good.replacing("a%20b/", with: "a%20c/")) == 403)
            #expect(try await status(good.replacing("X-Amz-Expires=60", with: "X-Amz-Expires=61")) == 403)
            let past = try presigned(endpoint, url, key: "other", at: .now + .seconds(-61))
            #expect(try await status(past) == 403)
            let future = try presigned(endpoint, url, key: "other", at: .now + .seconds(1000))
            #expect(try await status(future) == 403)
            #expect(try await status(url + "/bucket/other") == 403)
            #expect(try await status(presigned(endpoint, url, key: "missing")) == 404)
        }
    }

    @Test func filesAreSentWholeAndInRanges() async throws {
        try await serving { endpoint, url in
            let bytes = (0..<1_500_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
            try endpoint.store.write(bytes, to: "bucket", "file")
            let link = try presigned(endpoint, url, key: "file")
            for (range, expected) in [(nil, 0..<1_500_000), ("bytes=262143-524289", 262_143..<524_290)] {
                var request = HTTPClientRequest(url: link)
                if let range { request.headers.add(name: "range", value: range) }
                let response = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
                let body = try await response.body.collect(upTo: 2 << 20)
                #expect(Array(buffer: body) == Array(bytes[expected]))
            }
            #expect(try await status(link, headers: [("range", "bytes=1500000-")]) == 416)
            #expect(try await status(link, headers: [("if-none-match", "*")]) == 304)
            #expect(try await status(link, headers: [("if-match", "\"x\"")]) == 412)
        }
    }

    @Test func peersShareOnePortAndTakeItOver() async throws {
        let first = try make()
        let firstTask = Task { try await first.run() }
        let url = try await first.waitUntilServing(within: .seconds(30))
        let second = try make()
        let secondTask = Task { try await second.run() }
        #expect(try await second.waitUntilServing(within: .seconds(30)) == url)
        #expect(second.credentials == first.credentials)
        try second.store.write([1], to: "bucket", "key")
        let link = try presigned(second, url, key: "key")
        #expect(try await status(link) == 200)
        firstTask.cancel()
        _ = await firstTask.result
        try await eventually { await isListening(url) }
        #expect(try await status(link) == 200)
        secondTask.cancel()
        _ = await secondTask.result
        #expect(await !isListening(url))

        // The port, and so the link, outlives a restart.
        let (again, answer) = try await serving { _, again in (again, try await status(link)) }
        #expect(again == url)
        #expect(answer == 200)
    }

    @Test func aTakenPortIsNamed() async throws {
        let other = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(other.localAddress?.port)
        let endpoint = try make(port: port)
        let error = await #expect(throws: EmulatorError.self) { try await endpoint.run() }
        #expect(error?.code == .addressInUse)
        #expect(error?.message.contains("\(port)") == true)
        await #expect(throws: EmulatorError.self) { _ = try await endpoint.waitUntilServing(within: .seconds(30)) }
        try await other.close()
    }

    @Test func credentialsAreMadeOnceForTheOwnerOnly() throws {
        let first = try make().credentials
        #expect(try make().credentials == first)
        #expect(first.accessKeyID.count == 20 && first.secretAccessKey.revealed.count == 40)
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.path + "/s3/credentials")
        #expect(attributes[.posixPermissions] as? Int == 0o600)
    }

    @Test func garbageGetsAnAnswerAndHarmsNobody() async throws {
        try await serving { endpoint, url in
            let port = try #require(Int(url.split(separator: ":").last ?? ""))
            for target in ["nonsense", "GET /%zz HTTP/1.1", "GET http://x/ HTTP/1.1", "GET //key HTTP/1.1"] {
                let answer = try await exchange("\(target)\r\nHost: a\r\nConnection: close\r\n\r\n", port: port)
                #expect(answer.hasPrefix("HTTP/1.1 400 "), "\(target): \(answer)")
            }
            #expect(try await status(presigned(endpoint, url, key: "missing")) == 404)
        }
    }

    @Test(arguments: ["", "GET / HT", "PUT /bucket/key HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"])
    func aClientThatStallsLosesItsConnection(_ text: String) async throws {
        try await listening(try make(), stallLimit: .milliseconds(200)) { port in
            let began = ContinuousClock.now
            // With a word that the endpoint had not read the connection may end as an error.
            _ = try? await exchange(text, port: port)
            #expect(ContinuousClock.now - began < .seconds(20))
        }
    }

    @Test func anUploadThatBreaksOffIsNoErrorOfTheEndpoint() async throws {
        let endpoint = try make()
        let errors = ErrorCount()
        try await listening(endpoint, logger: errors.logger) { port in
            let target = try presigned(endpoint, "http://127.0.0.1:\(port)", key: "half", method: "PUT")
            let path = try #require(target.firstRange(of: "/bucket").map { target[$0.lowerBound...] })
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: port).get()
            let head = "PUT \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nContent-Length: 10\r\n\r\nhalf"
            try await channel.writeAndFlush(ByteBuffer(string: head))
            let staged = { folder.files(below: "s3/tmp").count }
            try await eventually { staged() == 1 }
            try await channel.close()
            try await eventually { staged() == 0 }
        }
        #expect(errors.count == 0)
    }

    @Test func oneConnectionTooManyIsClosedAtOnce() async throws {
        try await listening(try make()) { port in
            let address = try SocketAddress(ipAddress: "127.0.0.1", port: port)
            var channels: [any Channel] = []
            for _ in 0..<5 {
                channels.append(
                    try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(to: address).get())
            }
            // Whichever comes last to the endpoint.
            try await eventually { channels.count { !$0.isActive } == 1 }
            for channel in channels where channel.isActive { try await channel.close() }
            try await eventually {
                // Until the closed ones are counted off, this one may be closed at once too, even while it sends.
                let answer = try? await exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", port: port)
                return answer?.hasPrefix("HTTP/1.1 403 ") ?? false
            }
        }
    }

    @Test func longWorkIsAnsweredWithSignsOfLife() async throws {
        let endpoint = try make()
        let sparse = folder.path + "/sparse"
        #expect(FileManager.default.createFile(atPath: sparse, contents: nil))
        #expect(truncate(sparse, 192 << 20) == 0)
        try endpoint.store.importFile(
            at: sparse, bucket: "bucket", key: "source", isLinked: true, hasChecksums: false)
        let upload = try endpoint.store.beginUpload("bucket", ObjectKey("key")!, fields: [])
        try await listening(endpoint, signOfLife: .milliseconds(1)) { port in
            let signer = SigV4Signer(credentials: endpoint.credentials, region: endpoint.region)
            func put(number: Int) async throws -> String {
                let query = [
                    SigV4Parameter("partNumber", String(number)), SigV4Parameter("uploadId", upload.id),
                ]
                let fields = signer.headers(
                    method: "PUT", path: "/bucket/key", query: query,
                    headers: [("host", "127.0.0.1"), ("x-amz-copy-source", "bucket/source")], payload: .unsigned,
                    at: .now)
                let head = fields.map { "\($0.name): \($0.value)\r\n" }.joined()
                return try await exchange(
                    "PUT /bucket/key?\(SigV4Query.canonical(query)) HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                        + "x-amz-copy-source: bucket/source\r\nConnection: close\r\n\(head)\r\n", port: port)
            }
            let answer = try await put(number: 1)
            #expect(answer.hasPrefix("HTTP/1.1 200 "))
            #expect(answer.lowercased().contains("transfer-encoding: chunked"))
            let declaration = try #require(answer.firstRange(of: "<?xml"))
            let space = try #require(answer.firstRange(of: "\r\n1\r\n \r\n"))
            let result = try #require(answer.firstRange(of: "<CopyPartResult"))
            #expect(declaration.lowerBound < space.lowerBound && space.lowerBound < result.lowerBound)

            // The upload goes while its part is copied: the head is out, so the failure comes in the body.
            async let late = put(number: 2)
            try await eventually { !folder.files(below: "s3/tmp").isEmpty }
            try endpoint.store.abort("bucket", upload)
            let failure = try await late
            #expect(failure.hasPrefix("HTTP/1.1 200 "))
            #expect(failure.contains("<Error><Code>NoSuchUpload</Code>"))
        }
    }

    @Test func ourOwnClientWorksWithIt() async throws {
        try await serving { endpoint, url in
            let client = S3ObjectStore(
                try S3Configuration(
                    bucket: "bucket", endpoint: try S3Endpoint(url), credentials: endpoint.credentials),
                logger: quiet)
            do {
                try await client.check()
                let key = "folder/ä+b.zip"
                let body = ByteBuffer(string: "hello")
                try await client.write(key, body: body, contentType: "text/plain", checksum: 0x3610_A686)
                #expect(try await client.head(key)?.crc32 == 0x3610_A686)
                await #expect(throws: (any Error).self) {
                    try await client.write(key, body: body, contentType: "text/plain", checksum: 1)
                }
                let part = ByteBuffer(repeating: 7, count: 5 << 20)
                let upload = try await client.beginUpload("big", contentType: "application/zip")
                let parts = [
                    try await client.uploadPart(upload, number: 1, body: [part]),
                    try await client.uploadPart(upload, number: 2, body: [body]),
                ]
                let listed = try await client.listUploads(prefix: "b", after: nil)
                #expect(listed.uploads.map(\.id) == [upload.id] && listed.next == nil)
                #expect(try await client.listUploads(prefix: "b", after: upload).uploads == [])
                let before = ObjectUpload(key: "a", id: "")
                #expect(try await client.listUploads(prefix: "b", after: before).uploads.map(\.id) == [upload.id])
                try await client.completeUpload(upload, parts: parts)
                // The answer was lost, say, and the client asks again.
                try await client.completeUpload(upload, parts: parts)
                #expect(try await client.head("big")?.sizeBytes == (5 << 20) + 5)
                #expect(try await client.list(prefix: "", after: nil, limit: 10).map(\.key) == ["big", key])
                try await client.delete(key)
                #expect(try await client.head(key) == nil)
            } catch {
                try await client.shutdown()
                throw error
            }
            try await client.shutdown()
        }
    }
}
