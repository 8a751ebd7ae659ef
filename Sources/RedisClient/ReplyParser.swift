import CHiredis
import FunctionKit
import NIOCore

/// Turns the server's bytes into replies, with hiredis's reader. After an error it must not be used again.
final class ReplyParser {
    private let reader: UnsafeMutablePointer<redisReader>
    private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>
    private let builder = ReplyBuilder()
    private let maximumReplyBytes: Int
    /// Bytes of the reply that is not complete yet, and of what came with it.
    private var unfinishedBytes = 0

    /// Makes a parser; the bound on a reply's bytes is at most 512 MiB, because old readers count in 32 bits.
    init(maximumReplyBytes: Int) throws(RedisError) {
        functions = .allocate(capacity: 1)
        functions.initialize(to: ReplyBuilder.makeFunctions())
        guard let reader = redisReaderCreateWithFunctions(functions) else {
            functions.deallocate()
            throw RedisError(.connection, "no memory for a reply reader")
        }
        self.reader = reader
        self.maximumReplyBytes = maximumReplyBytes
        // Not retained: the reader lives no longer than this object, which holds the builder.
        reader.pointee.privdata = Unmanaged.passUnretained(builder).toOpaque()
    }

    deinit {
        redisReaderFree(reader)
        functions.deallocate()
    }

    /// Takes bytes; ``next()`` must then be called until it gives `nil`.
    func feed(_ buffer: ByteBuffer) throws(RedisError) {
        unfinishedBytes += buffer.readableBytes
        let status = buffer.withUnsafeReadableBytes { bytes in
            redisReaderFeed(reader, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        guard status == REDIS_OK else { throw failure() }
    }

    /// The next complete reply, or `nil` when more bytes are needed.
    func next() throws(RedisError) -> RESPValue? {
        var isMade: UnsafeMutableRawPointer?
        guard redisReaderGetReply(reader, &isMade) == REDIS_OK else { throw failure() }
        guard isMade != nil else {
            guard unfinishedBytes <= maximumReplyBytes else {
                throw RedisError(.protocolViolation, "a reply is larger than \(maximumReplyBytes) bytes")
            }
            return nil
        }
        unfinishedBytes = reader.pointee.len - reader.pointee.pos
        guard let reply = builder.take() else {
            throw RedisError(.protocolViolation, "a reply has a type that RESP2 does not have")
        }
        return reply
    }

    private func failure() -> RedisError {
        if let problem = builder.problem { return RedisError(.protocolViolation, problem) }
        let text = withUnsafeBytes(of: reader.pointee.errstr) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return RedisError(.protocolViolation, text)
    }
}
