import FunctionKit
import Glibc
import NIOCore
import Testing

@testable import Host

struct LinkTests {
    private struct SomeError: Error {}
    private struct Away: ClassifiedError {
        let description = "away"
        let errorClass = ErrorClass.network
        let isUnavailable = true
    }

    private static let request: Request = {
        var request = Request(
            method: .post, path: "/a%20b", query: "x=1", headers: [.contentType: "text/plain", .cookie: "a=b"],
            body: ByteBuffer(string: "body"), parameters: ["one": "1", "two": ""], id: "id", remoteAddress: "::1")
        request.headers.append(HTTPField(name: .init("X-Own") ?? .accept, value: "c"))
        return request
    }()

    private static func context(_ remaining: Duration = .seconds(5), user: User? = nil) -> Context {
        Context(
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, function: "f", requestID: "id",
            deadline: .now + remaining, attempt: 2, traceParent: "00-trace", user: user, bindings: Bindings())
    }

    private static let inputs: [LinkCall.Input] = [
        .request(request, protocols: ["a", "b"]),
        .job(
            QueueJob(
                id: "1", name: "n", queue: "q", payload: #"{"a":1}"#, attempt: 2, maxAttempts: 3,
                addedAt: Timestamp(milliseconds: 5))),
        .event(QueueEvent(kind: .failed, queue: "q", jobID: "1", data: "why", at: Timestamp(milliseconds: 7))),
        .tick(ScheduledTick(at: Timestamp(milliseconds: 9), attempt: 1, maxAttempts: 2)),
    ]

    /// Everything that a link can carry, in one buffer.
    private static func everything() -> ByteBuffer {
        var buffer = ByteBuffer()
        for (index, input) in inputs.enumerated() {
            LinkCall.write(input, context(), stream: UInt32(index + 1), into: &buffer)
        }
        buffer.writeFrame(.ping)
        buffer.writeFrame(.end, 9) { LinkResult.write(.success(.response(.text("hi"))), into: &$0) }
        buffer.writeFrame(.events, 9) {
            LinkEvents.write([ServerSentEvent("x", id: "1", retry: .seconds(1))], into: &$0)
        }
        return buffer
    }

    private static func frames(_ parser: inout LinkParser) throws -> [LinkFrame] {
        var frames: [LinkFrame] = []
        while let frame = try parser.next() { frames.append(frame) }
        return frames
    }

    @Test func `Frames come out whole wherever they were cut`() throws {
        let bytes = LinkTests.everything()
        var whole = LinkParser(maxFrameBytes: 4096)
        whole.append(bytes)
        let expected = try LinkTests.frames(&whole)
        #expect(expected.count == 7)
        for cut in 0...bytes.readableBytes {
            var parser = LinkParser(maxFrameBytes: 4096)
            var rest = bytes
            let first = rest.readSlice(length: cut) ?? ByteBuffer()
            parser.append(first)
            var frames = try LinkTests.frames(&parser)
            parser.append(rest)
            frames += try LinkTests.frames(&parser)
            #expect(frames == expected)
        }
        var parser = LinkParser(maxFrameBytes: 4096)
        var frames: [LinkFrame] = []
        for byte in bytes.readableBytesView {
            parser.append(ByteBuffer(bytes: [byte]))
            frames += try LinkTests.frames(&parser)
        }
        #expect(frames == expected)
    }

    @Test func `A length or kind out of bounds is refused before anything is kept for it`() throws {
        func parse(_ bytes: [UInt8]) throws -> LinkFrame? {
            var parser = LinkParser(maxFrameBytes: 16)
            parser.append(ByteBuffer(bytes: bytes))
            return try parser.next()
        }
        #expect(throws: LinkViolation.self) { try parse([0xFF, 0xFF, 0xFF, 0xFF]) }
        #expect(throws: LinkViolation.self) { try parse([0, 0, 0, 22]) }
        #expect(throws: LinkViolation.self) { try parse([0, 0, 0, 4, 1, 0, 0, 0]) }
        #expect(throws: LinkViolation.self) { try parse([0, 0, 0, 5, 200, 0, 0, 0, 0]) }
        let nothing = try parse([0, 0, 0, 21])
        #expect(nothing == nil)
        let ping = try parse([0, 0, 0, 5, LinkFrame.Kind.ping.rawValue, 0, 0, 0, 0])
        #expect(ping?.kind == .ping)
    }

    @Test func `A call arrives as it was made`() throws {
        var buffer = ByteBuffer()
        LinkCall.write(LinkTests.inputs[0], LinkTests.context(), stream: 1, into: &buffer)
        var parser = LinkParser(maxFrameBytes: 4096)
        parser.append(buffer)
        let begun = try parser.next()
        let call = try LinkCall(try #require(begun))
        #expect(call.requestID == "id" && call.attempt == 2 && call.traceParent == "00-trace")
        #expect(call.remaining > .seconds(4) && call.remaining <= .seconds(5))
        guard case .request(let request, let protocols) = call.input else {
            Issue.record("no request")
            return
        }
        let sent = LinkTests.request
        #expect(protocols == ["a", "b"])
        #expect(request.method == sent.method && request.path == sent.path && request.query == sent.query)
        #expect(request.headers == sent.headers && request.body == sent.body && request.parameters == sent.parameters)
        #expect(request.id == sent.id && request.remoteAddress == sent.remoteAddress)
    }

    @Test(
        arguments: [
            nil, .local, User(id: "ann"), User(id: "é b", isAdmin: true, expiresAt: Timestamp(milliseconds: 5)),
        ] as [User?])
    func `Who calls arrives as it was`(user: User?) throws {
        var buffer = ByteBuffer()
        LinkCall.write(LinkTests.inputs[0], LinkTests.context(user: user), stream: 1, into: &buffer)
        var parser = LinkParser(maxFrameBytes: 4096)
        parser.append(buffer)
        let begun = try parser.next()
        let call = try LinkCall(try #require(begun))
        guard case .request(let request, _) = call.input else {
            Issue.record("no request")
            return
        }
        #expect(call.user == user && request.user == user)
    }

    @Test func `A payload that is cut or too long is refused`() throws {
        for (index, input) in LinkTests.inputs.enumerated() {
            var buffer = ByteBuffer()
            LinkCall.write(input, LinkTests.context(), stream: 1, into: &buffer)
            var parser = LinkParser(maxFrameBytes: 4096)
            parser.append(buffer)
            let begun = try parser.next()
            let frame = try #require(begun)
            for count in 0..<frame.payload.readableBytes {
                let cut = try #require(frame.payload.getSlice(at: frame.payload.readerIndex, length: count))
                #expect(throws: LinkViolation.self, "input \(index), \(count) bytes") {
                    _ = try LinkCall(LinkFrame(kind: frame.kind, stream: 1, payload: cut))
                }
            }
            var long = frame.payload
            long.writeInteger(UInt8(0))
            #expect(throws: LinkViolation.self) {
                _ = try LinkCall(LinkFrame(kind: frame.kind, stream: 1, payload: long))
            }
        }
    }

    @Test func `Random payloads are refused or read, and reserve nothing`() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let count = Int.random(in: 0..<64, using: &generator)
            let bytes = ByteBuffer(bytes: (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) & 0x83 })
            _ = try? LinkResult.read(bytes)
            _ = try? LinkEvents.readEvents(bytes)
            _ = try? LinkEvents.readMessages(bytes)
            _ = try? LinkCall(LinkFrame(kind: .request, stream: 1, payload: bytes))
        }
    }

    private func roundTrip(_ error: any Error) throws -> any Error {
        var buffer = ByteBuffer()
        LinkResult.write(.failure(error), into: &buffer)
        guard case .failure(let read) = try LinkResult.read(buffer) else { throw SomeError() }
        return read
    }

    @Test func `Errors arrive as what the host looks at`() throws {
        let sent = HTTPError(
            .conflict, code: "c", message: "m", details: [.init(field: "f", problem: "p")], headers: [.retryAfter: "3"])
        let first = try roundTrip(sent)
        let http = try #require(first as? HTTPError)
        #expect(http.status == .conflict && http.code == "c" && http.message == "m")
        #expect(http.details == [.init(field: "f", problem: "p")] && http.headers[.retryAfter] == "3")
        let second = try roundTrip(Permanent("no", class: .storage))
        let permanent = try #require(second as? Permanent)
        #expect(permanent.message == "no" && permanent.errorClass == .storage)
        let third = try roundTrip(RetryAfter(.seconds(3), "later"))
        let later = try #require(third as? RetryAfter)
        #expect(later.delay == .seconds(3) && later.message == "later")
        let fourth = try roundTrip(Away())
        let away = try #require(fourth as? any ClassifiedError)
        #expect(away.isUnavailable && away.errorClass == .network && away.description == "away")
        let fifth = try roundTrip(CancellationError())
        #expect(fifth is CancellationError)
        let sixth = try roundTrip(SomeError())
        #expect("\(sixth)" == "SomeError()")
        let decoding = DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: "x"))
        let seventh = try roundTrip(decoding)
        #expect(ErrorClass(of: seventh) == .validation)
    }

    @Test func `Receipts are seen at the other end`() throws {
        let ours = try LinkReceipts(linkCount: 2)
        let theirs = try LinkReceipts(descriptor: dup(ours.descriptor), linkCount: 2)
        theirs.take(1)
        theirs.take(1)
        #expect(ours.taken(0) == 0 && ours.taken(1) == 2)
    }

    @Test func `A cold start stands in front of what the function tells`() {
        var headers: HTTPFields = [.init("server-timing") ?? .accept: "db;dur=3"]
        #expect(ColdStart.milliseconds(in: headers) == nil)
        ColdStart.add(.microseconds(12_345), to: &headers)
        #expect(headers[.init("server-timing") ?? .accept] == "cold;dur=12.3, db;dur=3")
        #expect(ColdStart.milliseconds(in: headers) == "12.3")
    }
}
