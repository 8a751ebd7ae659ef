import FunctionKit
import Synchronization
import Testing

@testable import Downloads
@testable import initiate

/// The same request sent again makes no second job.
@Suite struct IdempotencyTests {
    private func post(_ body: String, _ keys: [String]) throws -> Request {
        var headers: HTTPFields = [.contentType: "application/json"]
        let name = try #require(HTTPField.Name("Idempotency-Key"))
        for key in keys { headers.append(HTTPField(name: name, value: key)) }
        return Request(method: .post, path: "/", headers: headers, body: ByteBuffer(string: body))
    }

    private func initiate(_ bench: DownloadBench, _ body: String, _ key: String) async throws -> Response {
        try await Initiate().handle(try post(body, [key]), bench.context())
    }

    @Test func `the same key and body get the same answer`() async throws {
        try await DownloadBench.with { bench in
            let first = try await initiate(bench, #"{"file_ids":[70000,70001,70000],"archive_name":"a"}"#, "k1")
            let again = try await initiate(bench, #"{ "archive_name":"a", "file_ids":[70000,70001] }"#, "k1")
            #expect(again.status == .accepted && again.body == first.body)
            #expect(again.headers[.location] == first.headers[.location])
            #expect(bench.queue.added.withLock { $0.count } == 1)
            let other = try await initiate(bench, #"{"file_ids":[70000,70001],"archive_name":"a"}"#, "k2")
            #expect(other.body != first.body)
            let without = try await Initiate().handle(.post(#"{"file_ids":[70000]}"#), bench.context())
            #expect(without.status == .accepted)
        }
    }

    @Test func `keys of different users never meet`() async throws {
        try await DownloadBench.with { bench in
            var answers: Set<ByteBuffer> = []
            for user in [nil, .local, User(id: "ann"), User(id: "bob"), User(id: "ann", isAdmin: true)] {
                let request = try post(#"{"file_ids":[70000]}"#, ["k"])
                answers.insert(try await Initiate().handle(request, bench.context(user: user)).body)
            }
            // Nobody and the local user share theirs, and a user who is an admin meanwhile is the same user.
            #expect(answers.count == 3)
        }
    }

    @Test(arguments: [
        #"{"file_ids":[70001,70000]}"#, #"{"file_ids":[70000]}"#, #"{"file_ids":[70000,70001],"on_missing":"fail"}"#,
        #"{"file_ids":[70000,70001],"on_missing":"skip"}"#, #"{"file_ids":[70000,70001],"archive_name":"b"}"#,
    ])
    func `the same key with another body is refused`(_ body: String) async throws {
        try await DownloadBench.with { bench in
            _ = try await initiate(bench, #"{"file_ids":[70000,70001]}"#, "k")
            let error = await httpError { try await initiate(bench, body, "k") }
            #expect(error?.status == .unprocessableContent)
            #expect(error?.code == "idempotency_key_reused")
            #expect(bench.queue.added.withLock { $0.count } == 1)
        }
    }

    @Test(arguments: [[""], ["a b"], ["ü"], [String(repeating: "x", count: 256)], ["a", "b"], ["a", "a"]])
    func `a malformed key is refused`(_ keys: [String]) async throws {
        try await DownloadBench.with { bench in
            let error = await httpError {
                try await Initiate().handle(try post(#"{"file_ids":[70000]}"#, keys), bench.context())
            }
            #expect(error?.status == .badRequest && error?.code == "validation_failed")
            #expect(error?.details.map(\.field) == ["Idempotency-Key"])
            #expect(bench.queue.added.withLock { $0.isEmpty })
        }
    }

    @Test func `a key is forgotten with its time, by the sweep at the latest`() async throws {
        try await DownloadBench.with { bench in
            let body = #"{"file_ids":[70000]}"#
            _ = try await initiate(bench, body, String(repeating: "~", count: 255))
            #expect(try await Sweeper(bench.context()).sweep(at: .now + .seconds(86_000)).forgottenKeys == 0)
            #expect(try await Sweeper(bench.context()).sweep(at: .now + .seconds(86_500)).forgottenKeys == 1)
            _ = try await initiate(bench, body, String(repeating: "~", count: 255))
            #expect(bench.queue.added.withLock { $0.count } == 2)
        }
    }

    @Test func `of many concurrent requests with one key one makes a job`() async throws {
        try await DownloadBench.with { bench in
            let bodies = try await withThrowingTaskGroup(of: ByteBuffer.self) { group in
                for _ in 0..<100 { group.addTask { try await initiate(bench, #"{"file_ids":[70000]}"#, "k").body } }
                return try await group.reduce(into: Set<ByteBuffer>()) { $0.insert($1) }
            }
            #expect(bodies.count == 1)
            #expect(bench.queue.added.withLock { $0.count } == 1)
        }
    }

    /// The vectors of FIPS 180-4 and NIST's CAVP.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (String(repeating: "a", count: 1_000), "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"),
    ])
    func `the digest is SHA-256`(_ text: String, _ digest: String) {
        #expect(SHA256.hex(of: text.utf8) == digest)
    }
}
