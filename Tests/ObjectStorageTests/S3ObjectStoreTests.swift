import FunctionKit
import Logging
import NIOCore
import Testing

@testable import ObjectStorage

@Suite(.timeLimit(.minutes(2))) struct S3ObjectStoreTests: StoreFixture {
    // MARK: - The wire

    @Test(arguments: [
        "plain", "a//b", "/lead", ".", "..", "a/./b", "a/../b", "../../x", "trailing/", "//", "a%2Fb", "%2e%2e",
        "it's*+!()",
        "spa ce", "é😀", "q?m#h", "a;b:c@d,e=f&g", "[x]{y}|^`\"<>\\", String(repeating: "ü", count: 450),
        "\n\t\u{7F}\u{1}", "~",
    ])
    func pathsArriveAsSignedAndUnharmed(_ key: String) async throws {
        let ok = FaultServer.reply("200 OK", ["ETag: \"x\""])
        try await withStore(answering { _, _ in ok }) { store, server in
            try await store.write(key, body: ByteBuffer(string: "x"), contentType: "text/plain", checksum: nil)
            let request = try #require(server.requests.first)
            #expect(request.target == "/bucket/" + SigV4Encoding.path(key))
            let incoming = SigV4IncomingRequest(
                method: request.method, target: request.target,
                headers: request.headers.map { (name: $0.0, value: $0.1) })
            let identity = try SigV4Verifier(region: "us-east-1").verify(incoming, now: .now) { _ in Self.credentials }
            #expect(identity.payload == .unsigned)
        }
    }

    @Test func uploadsAreListedPageByPage() async throws {
        func page(_ rest: String) -> [FaultServer.Step] {
            FaultServer.reply(
                "200 OK", [],
                "<ListMultipartUploadsResult><EncodingType>url</EncodingType>\(rest)"
                    + "<Upload><Key>a+b</Key><UploadId>1</UploadId></Upload></ListMultipartUploadsResult>")
        }
        let next = "<NextKeyMarker>a+b%26c</NextKeyMarker><NextUploadIdMarker>2 =</NextUploadIdMarker>"
        let pages = [
            page("<IsTruncated>true</IsTruncated>\(next)"),
            // There is more, but it would begin at the same place again; there is more, but nobody knows where.
            page("<IsTruncated>true</IsTruncated>\(next)"), page("<IsTruncated>true</IsTruncated>"),
            page("<IsTruncated>false</IsTruncated>\(next)"),
        ]
        try await withStore(answering { number, _ in pages[number] }) { store, server in
            let first = try await store.listUploads(prefix: "", after: nil)
            #expect(first.uploads == [ObjectUpload(key: "a b", id: "1")])
            #expect(first.next == ObjectUpload(key: "a b&c", id: "2 ="))
            #expect(try await store.listUploads(prefix: "", after: first.next).next == nil)
            #expect(try await store.listUploads(prefix: "", after: nil).next == nil)
            #expect(try await store.listUploads(prefix: "", after: ObjectUpload(key: "k", id: "")).next == nil)
            #expect(!server.requests[0].target.contains("marker"))
            #expect(server.requests[1].target.contains("key-marker=a%20b%26c"))
            #expect(server.requests[1].target.contains("upload-id-marker=2%20%3D"))
            #expect(server.requests[3].target.contains("key-marker=k"))
            #expect(!server.requests[3].target.contains("upload-id-marker"))
        }
    }

    @Test func everyRequestVerifies() async throws {
        let answer = { @Sendable (_: Int, request: FaultServer.Request) -> [FaultServer.Step] in
            switch (request.method, request.target.split(separator: "?").last ?? "") {
            case ("POST", "uploads"):
                FaultServer.reply(
                    "200 OK", [],
                    "<InitiateMultipartUploadResult><UploadId>u/+= 1</UploadId></InitiateMultipartUploadResult>")
            case ("POST", _): FaultServer.reply("200 OK", [], "<CompleteMultipartUploadResult/>")
            case ("GET", let query) where query.contains("uploads"):
                FaultServer.reply("200 OK", [], "<ListMultipartUploadsResult/>")
            case ("GET", let query) where query.contains("list-type"):
                FaultServer.reply("200 OK", [], "<ListBucketResult/>")
            case ("DELETE", _): FaultServer.reply("204 No Content")
            default: FaultServer.reply("200 OK", ["ETag: \"x\""])
            }
        }
        try await withStore(answer) { store, server in
            let key = "a b/ü+'*.zip"
            _ = try await store.head(key)
            _ = try await store.read(key, range: nil)
            try await store.write(key, body: ByteBuffer(string: "abc"), contentType: "text/plain", checksum: 1)
            let upload = try await store.beginUpload(key, contentType: "application/zip")
            let part = try await store.uploadPart(
                upload, number: 1, body: [ByteBuffer(string: "x"), ByteBuffer(string: "yz")])
            try await store.completeUpload(upload, parts: [part])
            try await store.abortUpload(upload)
            #expect(try await store.listUploads(prefix: "a b/+", after: nil).uploads == [])
            #expect(try await store.list(prefix: "a b/+", after: "k&=?", limit: 7) == [])
            try await store.delete(key)
            try await store.check()
            #expect(server.requests.count == 11)
            for request in server.requests {
                let incoming = SigV4IncomingRequest(
                    method: request.method, target: request.target,
                    headers: request.headers.map { (name: $0.0, value: $0.1) })
                let identity = try SigV4Verifier(region: "us-east-1").verify(incoming, now: .now) { _ in
                    Self.credentials
                }
                if case .sha256(let digest) = identity.payload {
                    #expect(digest == Hexadecimal.encode(MessageDigest.digest(.sha256, of: request.body)))
                }
            }
            #expect(String(buffer: server.requests[4].body) == "xyz")
            #expect(
                String(buffer: server.requests[5].body).contains(
                    "<Part><PartNumber>1</PartNumber><ETag>&quot;x&quot;</ETag></Part>"))
        }
    }

    @Test func largePartsArriveWhole() async throws {
        let ok = FaultServer.reply("200 OK", ["ETag: \"x\""])
        try await withStore(answering { _, _ in ok }) { store, server in
            let buffers = (0..<5).map { ByteBuffer(repeating: UInt8($0), count: 700_001) } + [ByteBuffer()]
            _ = try await store.uploadPart(ObjectUpload(key: "k", id: "u"), number: 3, body: buffers)
            #expect(server.requests[0].body == buffers.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) })
            #expect(server.requests[0].target == "/bucket/k?partNumber=3&uploadId=u")
        }
    }

    // MARK: - Reading

    @Test func readsWithRangesAndChecksums() async throws {
        let answer = { @Sendable (_: Int, request: FaultServer.Request) -> [FaultServer.Step] in
            let common = [
                "ETag: \"e\"", "Last-Modified: Mon, 12 Oct 2009 17:50:30 GMT", "x-amz-checksum-crc32: y/Q5Jg==",
            ]
            if let range = request.headers.first(where: { $0.0 == "range" })?.1 {
                guard range == "bytes=2-99" else { return FaultServer.reply("416 Range Not Satisfiable") }
                return FaultServer.reply("206 Partial Content", common + ["Content-Range: bytes 2-8/9"], "3456789")
            }
            let type = request.target.contains("whole") ? "FULL_OBJECT" : "COMPOSITE"
            if request.method == "HEAD" {
                return [
                    .write(
                        (["HTTP/1.1 200 OK", "Content-Length: 9", "x-amz-checksum-type: \(type)"] + common)
                            .joined(separator: "\r\n") + "\r\n\r\n")
                ]
            }
            return FaultServer.reply("200 OK", common + ["x-amz-checksum-type: \(type)"], "123456789")
        }
        try await withStore(answer) { store, _ in
            let info = try #require(try await store.head("whole"))
            #expect(info.sizeBytes == 9 && info.etag == "\"e\"" && info.crc32 == 0xCBF4_3926)
            #expect(info.modifiedAt?.description == "2009-10-12T17:50:30.000Z")
            #expect(try await store.head("other")?.crc32 == nil)
            let whole = try #require(try await store.read("whole", range: nil))
            #expect(whole.info == info)
            #expect(try await collect(whole) == "123456789")
            let part = try #require(try await store.read("whole", range: 2..<100))
            #expect(part.info.sizeBytes == 9)
            #expect(try await collect(part) == "3456789")
            let none = try #require(try await store.read("whole", range: 5..<5))
            #expect(try await collect(none) == "")
            let error = await failure { _ = try await store.read("whole", range: 50..<60) }
            #expect(error?.status == 416 && error?.errorClass == .storage)
        }
    }

    @Test func missingObjectsAreNilAndAMissingBucketIsNot() async throws {
        let answer = { @Sendable (_: Int, request: FaultServer.Request) -> [FaultServer.Step] in
            let code = request.target.contains("nobucket") ? "NoSuchBucket" : "NoSuchKey"
            return request.method == "HEAD"
                ? [.write("HTTP/1.1 404 Not Found\r\nContent-Length: 300\r\n\r\n")]
                : FaultServer.reply("404 Not Found", [], "<Error><Code>\(code)</Code></Error>")
        }
        try await withStore(answer) { store, server in
            #expect(try await store.head("k") == nil)
            #expect(try await store.read("k", range: nil) == nil)
            try await store.delete("k")
            try await store.abortUpload(ObjectUpload(key: "k", id: "u"))
            #expect(server.requests.count == 4)
            let error = await failure { _ = try await store.read("nobucket", range: nil) }
            #expect(error?.s3Code == "NoSuchBucket" && error?.isUnavailable == false)
            #expect(await failure { try await store.check() }?.status == 404)
        }
    }

    @Test func cutBodyEndsWithAnError() async throws {
        let answer = { @Sendable (_: Int, _: FaultServer.Request) -> [FaultServer.Step] in
            [.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"), .close]
        }
        try await withStore(answer) { store, server in
            let body = try #require(try await store.read("k", range: nil))
            var text = ""
            let error = await failure { for try await chunk in body.chunks { text += String(buffer: chunk) } }
            #expect(error?.code == .transport && error?.errorClass == .network && error?.isUnavailable == true)
            #expect(text == "12345" && server.requests.count == 1)
        }
    }

    @Test func answersThatAreNotWhatWasAskedForAreRefused() async throws {
        let answer = { @Sendable (number: Int, _: FaultServer.Request) -> [FaultServer.Step] in
            switch number {
            case 0: FaultServer.reply("200 OK", [], "whole")
            case 1: FaultServer.reply("206 Partial Content", ["Content-Range: bytes 1-3/5"], "bcd")
            case 2: FaultServer.reply("206 Partial Content", ["Content-Range: bytes 0-3/5"], "bcd")
            case 3: [.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")]
            default: FaultServer.reply("206 Partial Content", ["Content-Range: bytes 0-2/5"], "abc")
            }
        }
        try await withStore(answer) { store, _ in
            for range in [0..<3, 0..<3, 0..<4, nil, nil] as [Range<Int64>?] {
                #expect(await failure { _ = try await store.read("k", range: range) }?.code == .invalidResponse)
            }
        }
    }

    @Test func slowBodyIsFineAndAStuckOneTimesOut() async throws {
        let answer = { @Sendable (_: Int, request: FaultServer.Request) -> [FaultServer.Step] in
            var steps = [FaultServer.Step.write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")]
            for _ in 0..<8 { steps += [.pause(.milliseconds(250)), .write("x")] }
            return request.target.hasSuffix("stuck") ? Array(steps.prefix(5)) + [.hang] : steps
        }
        // The whole takes longer than the timeout, each chunk does not.
        try await withStore(timeout: .milliseconds(1500), answer) { store, server in
            let slow = try #require(try await store.read("slow", range: nil))
            #expect(try await collect(slow) == "xxxxxxxx")
            let stuck = try #require(try await store.read("stuck", range: nil))
            let error = await failure { _ = try await collect(stuck) }
            #expect(error?.code == .timeout && error?.errorClass == .timeout)
            try await closes(1, server)
        }
    }

    @Test func aSlowConsumerIsNotATimeout() async throws {
        let size = 8 << 20
        let answer = { @Sendable (_: Int, _: FaultServer.Request) -> [FaultServer.Step] in
            [
                .write("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n"),
                .writeBytes(ByteBuffer(repeating: 7, count: size)),
            ]
        }
        try await withStore(timeout: .seconds(1), answer) { store, _ in
            let body = try #require(try await store.read("k", range: nil))
            var received = 0
            for try await chunk in body.chunks {
                if received == 0 { try await Task.sleep(for: .seconds(2)) }
                received += chunk.readableBytes
            }
            #expect(received == size)
        }
    }

    @Test func droppedBodiesAndCancelledReadersCloseTheConnection() async throws {
        let answer = { @Sendable (_: Int, _: FaultServer.Request) -> [FaultServer.Step] in
            [.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc"), .hang]
        }
        try await withStore(answer) { store, server in
            do { _ = try await store.read("dropped", range: nil) }
            try await closes(1, server)
            do {
                let body = try #require(try await store.read("begun", range: nil))
                for try await _ in body.chunks { break }
            }
            try await closes(2, server)
            let body = try #require(try await store.read("cancelled", range: nil))
            let cancelled = await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    do {
                        for try await _ in body.chunks {}
                        return false
                    } catch { return error is CancellationError }
                }
                group.cancelAll()
                return await group.next() ?? false
            }
            #expect(cancelled)
            try await closes(3, server)
        }
    }

    @Test func cancellationEndsAWaitForTheHead() async throws {
        try await withStore(answering { _, _ in [.hang] }) { store, server in
            let task = Task { try await store.head("k") }  // Owned here and awaited below.
            try await receives(1, server)
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            try await closes(1, server)
        }
    }

    // MARK: - Listing

    @Test func listingsAreDecodedWhereTheySaySo() async throws {
        let answer = { @Sendable (number: Int, _: FaultServer.Request) -> [FaultServer.Step] in
            let encoding = number == 0 ? "<EncodingType>url</EncodingType>" : ""
            return FaultServer.reply(
                "200 OK", [],
                "<ListBucketResult>\(encoding)<Contents><Key>a%2B+b%0A</Key><Size>5</Size><ETag>&quot;e&quot;</ETag>"
                    + "<LastModified>2009-10-12T17:50:30.000Z</LastModified></Contents></ListBucketResult>")
        }
        try await withStore(answer) { store, server in
            #expect(try await store.list(prefix: "", after: nil, limit: 1000).map(\.key) == ["a+ b\n"])
            let plain = try await store.list(prefix: "p", after: "a", limit: 3)
            #expect(plain.map(\.key) == ["a%2B+b%0A"] && plain[0].sizeBytes == 5 && plain[0].etag == "\"e\"")
            #expect(plain[0].modifiedAt?.description == "2009-10-12T17:50:30.000Z")
            #expect(
                server.requests[1].target == "/bucket?list-type=2&encoding-type=url&max-keys=3&prefix=p&start-after=a")
        }
    }

    @Test func repliesThatAreNoDocumentsAreRefused() async throws {
        let pages = ["<html><body>hello", "<Other/>", "", "<ListBucketResult><Contents/></ListBucketResult>"]
        try await withStore(answering { number, _ in FaultServer.reply("200 OK", [], pages[number]) }) { store, _ in
            for _ in pages {
                #expect(
                    await failure { _ = try await store.list(prefix: "", after: nil, limit: 1) }?.code
                        == .invalidResponse)
            }
        }
    }

    @Test func argumentsAreCheckedBeforeAnythingIsSent() async throws {
        try await withStore(answering { _, _ in FaultServer.reply("200 OK") }) { store, server in
            for key in ["", "a\0b", String(repeating: "k", count: 1025)] {
                #expect(await failure { _ = try await store.head(key) }?.code == .invalidArgument)
                #expect(
                    await failure { _ = try store.presignedURL(for: key, expiresIn: .seconds(1), fileName: nil) } != nil
                )
            }
            for time in [Duration.zero, .milliseconds(999), .seconds(604_801)] {
                #expect(await failure { _ = try store.presignedURL(for: "k", expiresIn: time, fileName: nil) } != nil)
            }
            #expect(await failure { _ = try await store.list(prefix: "", after: nil, limit: 0) } != nil)
            #expect(await failure { try await store.completeUpload(ObjectUpload(key: "k", id: "u"), parts: []) } != nil)
            #expect(await failure { _ = try await store.read("k", range: -1..<5) } != nil)
            #expect(server.requests.isEmpty)
        }
    }

    @Test func presignedURLsNameThePublicEndpoint() async throws {
        let store = S3ObjectStore(
            try S3Configuration(
                bucket: "bucket", endpoint: S3Endpoint("http://127.0.0.1:1"),
                publicEndpoint: S3Endpoint("https://files.example.org"), credentials: Self.credentials),
            logger: Logger(label: "test"))
        let url = try store.presignedURL(for: "a b", expiresIn: .seconds(60), fileName: "ü \"x\".zip")
        #expect(url.hasPrefix("https://files.example.org/bucket/a%20b?"))
        #expect(
            url.contains(
                "response-content-disposition=attachment%3B%20filename%3D%22_%20_x_.zip%22%3B%20filename%2A%3DUTF-8%27%27%25C3%25BC%2520%2522x%2522.zip"
            ))
        try await store.shutdown()
    }
}
