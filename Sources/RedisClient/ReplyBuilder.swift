import CHiredis
import FunctionKit
import NIOCore

/// Builds replies from hiredis's callbacks.
///
/// hiredis walks through a reply depth first and calls once for each element; it keeps whatever pointer is returned but
/// looks only at whether it is null. So values live here alone, nothing is allocated on hiredis's side, and an array's
/// announced length costs no memory until its elements have come.
final class ReplyBuilder {
    /// What every hiredis from 0.14 on can read.
    static let maximumDepth = 8

    private struct Frame {
        var elements: [RESPValue]
        var missingCount: Int
    }

    private var frames: [Frame] = []
    private var root: RESPValue?
    /// What is wrong with the reply, when a callback refused it.
    private(set) var problem: String?

    /// The finished reply, once.
    func take() -> RESPValue? {
        defer { root = nil }
        return frames.isEmpty ? root : nil
    }

    private func append(_ value: RESPValue) {
        var value = value
        while let last = frames.indices.last {
            frames[last].elements.append(value)
            frames[last].missingCount -= 1
            if frames[last].missingCount > 0 { return }
            value = .array(frames.removeLast().elements)
        }
        root = value
    }

    private func appendString(type: Int32, _ text: UnsafeMutablePointer<CChar>, _ count: Int) -> Bool {
        let bytes = UnsafeRawBufferPointer(start: text, count: count)
        switch type {
        case REDIS_REPLY_STRING:
            // hiredis skips the two bytes after a bulk string without looking; they are in its buffer by now.
            guard text[count] == 13, text[count + 1] == 10 else {
                problem = "a bulk string does not end with CR LF"
                return false
            }
            append(.bytes(ByteBuffer(bytes: bytes)))
        case REDIS_REPLY_STATUS:
            append(.status(String(decoding: bytes, as: UTF8.self)))
        case REDIS_REPLY_ERROR:
            append(.error(String(decoding: bytes, as: UTF8.self)))
        default:
            problem = "a type that RESP2 does not have"
            return false
        }
        return true
    }

    private func beginArray(type: Int32, _ count: Int) -> Bool {
        guard type == REDIS_REPLY_ARRAY else {
            problem = "a type that RESP2 does not have"
            return false
        }
        guard count <= Int(Int32.max) else {
            problem = "an array is too long"
            return false
        }
        guard frames.count < Self.maximumDepth else {
            problem = "arrays are nested more than \(Self.maximumDepth) deep"
            return false
        }
        if count == 0 {
            append(.array([]))
        } else {
            var frame = Frame(elements: [], missingCount: count)
            frame.elements.reserveCapacity(min(count, 64))
            frames.append(frame)
        }
        return true
    }

    /// Any pointer but null: "made".
    private static var made: UnsafeMutableRawPointer? { UnsafeMutableRawPointer(bitPattern: 1) }

    private static func of(_ task: UnsafePointer<redisReadTask>?) -> (builder: ReplyBuilder, type: Int32)? {
        guard let task, let context = task.pointee.privdata else { return nil }
        return (Unmanaged<ReplyBuilder>.fromOpaque(context).takeUnretainedValue(), task.pointee.type)
    }

    /// The callbacks; each finds its builder in the task's private data. Types that RESP2 does not have get none:
    /// then no value is built, and the parser sees that.
    static func makeFunctions() -> redisReplyObjectFunctions {
        var functions = redisReplyObjectFunctions()
        functions.createString = { task, text, count in
            guard let (builder, type) = ReplyBuilder.of(task), let text else { return nil }
            return builder.appendString(type: type, text, Int(count)) ? ReplyBuilder.made : nil
        }
        // The count is an int up to hiredis 0.14 and a size_t from 1.0 on.
        functions.createArray = { task, count in
            guard let (builder, type) = ReplyBuilder.of(task) else { return nil }
            return builder.beginArray(type: type, Int(count)) ? ReplyBuilder.made : nil
        }
        functions.createInteger = { task, value in
            guard let (builder, _) = ReplyBuilder.of(task) else { return nil }
            builder.append(.integer(Int64(value)))
            return ReplyBuilder.made
        }
        functions.createNil = { task in
            // A null of RESP2 is a string or an array of length -1; RESP3 has a type for it.
            guard let (builder, type) = ReplyBuilder.of(task), type != REDIS_REPLY_NIL else { return nil }
            builder.append(.null)
            return ReplyBuilder.made
        }
        return functions
    }
}
