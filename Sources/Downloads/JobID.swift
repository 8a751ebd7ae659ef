public import FunctionKit

/// A job's id: a random UUID (RFC 9562 version 4) in lower case.
public struct JobID: Sendable, Hashable, CustomStringConvertible {
    /// The id in its canonical form of 36 characters.
    public let description: String

    /// Checks a text; hexadecimal digits may be in either case.
    ///
    /// - Parameter text: What was sent.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count == 36 else { return nil }
        for (index, byte) in text.utf8.enumerated() {
            switch (index, byte | 0x20) {
            case (8, _), (13, _), (18, _), (23, _): guard byte == UInt8(ascii: "-") else { return nil }
            case (14, _): guard byte == UInt8(ascii: "4") else { return nil }
            case (19, UInt8(ascii: "a")), (19, UInt8(ascii: "b")): continue
            case (19, _): guard byte == UInt8(ascii: "8") || byte == UInt8(ascii: "9") else { return nil }
            case (_, UInt8(ascii: "a")...UInt8(ascii: "f")): continue
            default: guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            }
        }
        description = text.lowercased()
    }

    /// Makes a new id from the system's random numbers.
    public init() {
        var random = SystemRandomNumberGenerator()
        let high = random.next() & ~0xF000 | 0x4000
        let low = random.next() & ~(0b11 << 62) | (0b10 << 62)
        let digits = Self.hexadecimal(high) + Self.hexadecimal(low)
        let bounds = [0, 8, 12, 16, 20, 32]
        description = zip(bounds, bounds.dropFirst())
            .map { String(digits[$0..<$1].map { Character(Unicode.Scalar($0)) }) }.joined(separator: "-")
    }

    private static func hexadecimal(_ number: UInt64) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return (0..<16).map { digits[Int(number >> (60 - 4 * $0) & 15)] }
    }
}

extension Request {
    /// The route's job id.
    ///
    /// A text that is no version 4 UUID is invalid input (400 with a detail); an id that nobody has is an unknown
    /// job (404), which the lookup tells.
    ///
    /// - Parameter parameter: The route parameter's name.
    /// - Returns: The id.
    /// - Throws: ``HTTPError`` 400 `validation_failed`.
    public func jobID(_ parameter: String = "jobId") throws -> JobID {
        guard let id = JobID(self.parameter(parameter) ?? "") else {
            throw HTTPError.validation([.init(field: parameter, problem: "must be a UUID of version 4")])
        }
        return id
    }
}
