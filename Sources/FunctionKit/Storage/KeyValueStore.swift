/// Redis, as functions see it.
public protocol KeyValueStore: Sendable {
    /// Sends one command and waits for its reply.
    ///
    /// - Parameter command: The command's name and its arguments, as UTF-8.
    /// - Returns: The reply, never ``RESPValue/error(_:)``.
    /// - Throws: A ``ClassifiedError``: the server's error reply, no connection within the deadline, or no reply in time
    ///   (the command may then have run).
    /// - Cancellation: the wait ends with `CancellationError`; a command already sent may have run.
    func send(_ command: [String]) async throws -> RESPValue

    /// Runs a script on the server in one step, by its digest; it is sent whole when the server does not know it.
    ///
    /// - Throws: As ``send(_:)``.
    /// - Cancellation: as ``send(_:)``.
    func evaluate(_ script: StoreScript, keys: [String], arguments: [String]) async throws -> RESPValue

    /// Listens to a channel; returns when the store has confirmed it, so that nothing sent after that is missed.
    ///
    /// - Throws: As ``send(_:)``, and when the process has as many subscriptions as it may have.
    /// - Cancellation: the wait ends with `CancellationError`, and there is no subscription.
    func listen(to channel: String) async throws -> any ChannelSubscription

    /// Checks that the store answers.
    ///
    /// - Throws: As ``send(_:)``.
    func check() async throws
}

/// A Lua script with a name for logs.
public struct StoreScript: Sendable, Hashable {
    /// The name, for logs.
    public let name: String
    /// The Lua text. Its header lists KEYS, ARGV with units, and every return code.
    public let source: String

    /// Makes a script.
    public init(name: String, source: String) {
        self.name = name
        self.source = source
    }
}

/// A reply in the Redis serialization protocol, version 2.
public enum RESPValue: Sendable, Hashable {
    /// No value.
    case null
    /// A status such as `OK`.
    case status(String)
    /// An error of the server; only inside an array.
    case error(String)
    /// An integer.
    case integer(Int64)
    /// A string of bytes.
    case bytes(ByteBuffer)
    /// An array, also of mixed kinds.
    case array([RESPValue])

    /// The text of a status or of bytes (which must be UTF-8; others are repaired), or an integer in decimal.
    public var string: String? {
        switch self {
        case .status(let text): text
        case .bytes(let buffer): String(buffer: buffer)
        case .integer(let number): String(number)
        case .null, .error, .array: nil
        }
    }

    /// The integer, also from bytes that are one in decimal.
    public var integer: Int64? {
        switch self {
        case .integer(let number): number
        case .bytes(let buffer): Self.digits(buffer.readableBytesView) ?? string.flatMap(Int64.init)
        case .status: string.flatMap(Int64.init)
        case .null, .error, .array: nil
        }
    }

    /// The number that up to 18 digits spell, without the way through a string.
    private static func digits(_ bytes: ByteBufferView) -> Int64? {
        guard (1...18).contains(bytes.count) else { return nil }
        var number: Int64 = 0
        for byte in bytes {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            number = number * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        return number
    }

    /// The elements of an array.
    public var array: [RESPValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }
}
