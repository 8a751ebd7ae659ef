internal import FunctionKit
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Serves one connection: request after request, each answered before the next is read.
struct S3Connection {
    typealias Channel = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    let service: S3Service
    let connections: S3Connections
    let logger: Logger
    /// How long the outcome is awaited before the head is sent without it, and between two signs of life after that.
    var signOfLife = Duration.seconds(5)

    /// What is read of a file at a time, and so what a connection holds in memory while it sends.
    private static let chunkBytes: Int64 = 256 << 10
    /// The most of an unwanted body that is read. A client that is still sending when the connection closes may never
    /// see the answer, so this is the size of a large part.
    private static let skippedBytes = 128 << 20

    /// Serves until the client or the endpoint closes the connection, or either stalls.
    func serve(_ channel: any NIOCore.Channel) async {
        do {
            try await wrap(channel).executeThenClose { inbound, outbound in
                var input = S3Inbound(inbound, outbound)
                while let head = try await input.nextHead() {
                    connections.setBusy(channel, true)
                    let isKept = try await exchange(head, &input, outbound, channel.eventLoop)
                    connections.setBusy(channel, false)
                    guard isKept, !connections.isDraining else { return }
                }
            }
        } catch {
            // The client went away, stalled, or sent what is no HTTP: there is nobody to tell.
            logger.trace("A connection to the local S3 endpoint ended.", metadata: ["error": "\(error)"])
        }
    }

    /// Begins to read. Whoever gets the result must close it, since it must not be dropped.
    private func wrap(_ channel: any NIOCore.Channel) async throws -> Channel {
        try await channel.eventLoop.submit {
            guard channel.isActive else { throw ChannelError.ioOnClosedChannel }
            let wrapped = try Channel(wrappingChannelSynchronously: channel)
            channel.setOption(.autoRead, value: true).whenFailure { _ in channel.close(promise: nil) }
            return wrapped
        }.get()
    }

    /// Whether the connection is kept.
    private func exchange(
        _ head: HTTPRequestHead, _ input: inout S3Inbound, _ outbound: S3Inbound.Outbound, _ loop: any EventLoop
    ) async throws -> Bool {
        let began = ContinuousClock.now
        let id = String(UInt64.random(in: 0 ... .max), radix: 16, uppercase: true)
        var answer = try await service.answer(head, id: id, body: &input)
        let isWhole = try await input.skipBody(limitBytes: S3Connection.skippedBytes)
        let isKept = head.isKeepAlive && isWhole && !connections.isDraining
        answer.headers.add(name: "x-amz-request-id", value: id)
        answer.headers.add(name: "Server", value: "Ferry")
        answer.headers.add(name: "Date", value: HTTPDate.text(.now))
        if !isKept { answer.headers.replaceOrAdd(name: "Connection", value: "close") }
        try await send(answer, to: head, id: id, outbound, loop)
        logger.debug(
            "S3 request",
            metadata: [
                "request": "\(id)", "method": "\(head.method)", "path": "\(head.uri.prefix { $0 != "?" })",
                "status": "\(answer.status.code)", "duration": "\(ContinuousClock.now - began)",
            ])
        return isKept
    }

    private func send(
        _ answer: S3Answer, to request: HTTPRequestHead, id: String, _ outbound: S3Inbound.Outbound,
        _ loop: any EventLoop
    ) async throws {
        var head = HTTPResponseHead(version: .http1_1, status: answer.status, headers: answer.headers)
        let hasBody = request.method != .HEAD
        switch answer.body {
        case .empty:
            if head.status.mayHaveResponseBody { head.headers.replaceOrAdd(name: "Content-Length", value: "0") }
            try await outbound.write(.head(head))
        case .text(let text):
            head.setXML(length: text.utf8.count)
            try await outbound.write(.head(head))
            if hasBody { try await outbound.write(.body(.byteBuffer(ByteBuffer(string: text)))) }
        case .file(let file, let range):
            head.headers.replaceOrAdd(name: "Content-Length", value: String(range.count))
            try await outbound.write(.head(head))
            if hasBody { try await send(file, range, outbound, loop) }
        case .slow(let work):
            try await send(work, head: head, resource: String(request.uri.prefix { $0 != "?" }), id: id, outbound)
        }
        try await outbound.write(.end(nil))
    }

    private func send(
        _ file: OpenFile, _ range: Range<Int64>, _ outbound: S3Inbound.Outbound, _ loop: any EventLoop
    ) async throws {
        var offset = range.lowerBound
        while offset < range.upperBound {
            let start = offset
            let count = Int(min(range.upperBound - start, S3Connection.chunkBytes))
            let chunk = try await service.pool.runIfActive { try file.read(at: start, count: count) }
            // Someone has cut the file short: the length was announced, so all that is left is to close.
            guard chunk.readableBytes == count else { throw ChannelError.eof }
            try await outbound.write(.body(.byteBuffer(chunk)))
            // The writer learns that the socket takes no more only once the loop has run what it was handed. Without
            // this turn of the loop a client that does not read gets megabytes of the file queued up for it.
            try await loop.submit {}.get()
            offset += Int64(count)
        }
    }

    private enum Step: Sendable {
        case ended(Result<String, any Error>)
        case stillWorking
    }

    private func send(
        _ work: @escaping @Sendable () async throws -> String, head: HTTPResponseHead, resource: String, id: String,
        _ outbound: S3Inbound.Outbound
    ) async throws {
        let result = try await withThrowingTaskGroup(of: Step.self) { group -> (Result<String, any Error>, Bool) in
            let signOfLife = signOfLife
            @Sendable func wait() async throws -> Step {
                try await Task.sleep(for: signOfLife)
                return .stillWorking
            }
            group.addTask {
                do { return .ended(.success(try await work())) } catch { return .ended(.failure(error)) }
            }
            group.addTask { try await wait() }
            defer { group.cancelAll() }
            var hasBegun = false
            while let step = try await group.next() {
                switch step {
                case .ended(let result): return (result, hasBegun)
                case .stillWorking:
                    if !hasBegun {
                        var head = head
                        head.headers.replaceOrAdd(name: "Content-Type", value: "application/xml")
                        try await outbound.write(.head(head))
                    }
                    let text = hasBegun ? " " : XMLText.declaration
                    hasBegun = true
                    try await outbound.write(.body(.byteBuffer(ByteBuffer(string: text))))
                    group.addTask { try await wait() }
                }
            }
            throw CancellationError()
        }
        var text: String
        var head = head
        switch result.0 {
        case .success(let body): text = body
        case .failure(let error):
            let fault = service.fault(of: error, id: id)
            text = S3Answer.errorElement(fault, resource: resource, id: id)
            head.status = HTTPResponseStatus(statusCode: fault.status)
        }
        if !result.1 {
            text = XMLText.declaration + text
            head.setXML(length: text.utf8.count)
            try await outbound.write(.head(head))
        }
        try await outbound.write(.body(.byteBuffer(ByteBuffer(string: text))))
    }
}

extension HTTPResponseHead {
    fileprivate mutating func setXML(length: Int) {
        headers.replaceOrAdd(name: "Content-Type", value: "application/xml")
        headers.replaceOrAdd(name: "Content-Length", value: String(length))
    }
}
