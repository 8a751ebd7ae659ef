public import FunctionKit

/// The second in which a request is signed.
public struct SigV4Date: Sendable, Hashable {
    /// The time, whole seconds.
    public let timestamp: Timestamp
    /// ISO 8601 basic format, for example `20130524T000000Z`.
    public let dateTime: String

    /// The day, for example `20130524`.
    public var day: String { String(dateTime.prefix(8)) }

    /// The second that the time lies in.
    public init(_ time: Timestamp) {
        let civil = CivilTime(time)
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        dateTime =
            padded(civil.year, 4) + padded(civil.month, 2) + padded(civil.day, 2) + "T" + padded(civil.hour, 2)
            + padded(civil.minute, 2) + padded(civil.second, 2) + "Z"
        timestamp = Timestamp(milliseconds: time.milliseconds - Int64(civil.millisecond))
    }

    /// Reads the basic format.
    ///
    /// - Returns: `nil` for any other text and for a date that does not exist.
    public init?(parsing text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard bytes.count == 16, bytes[8] == UInt8(ascii: "T"), bytes[15] == UInt8(ascii: "Z") else { return nil }
        func number(_ range: Range<Int>) -> Int? {
            bytes[range].reduce(0 as Int?) { total, byte in
                guard let total, (48...57).contains(byte) else { return nil }
                return total * 10 + Int(byte - 48)
            }
        }
        guard let year = number(0..<4), let month = number(4..<6), let day = number(6..<8),
            let hour = number(9..<11), let minute = number(11..<13), let second = number(13..<15),
            let time = Timestamp(
                utcYear: year, month: month, day: day, hour: hour, minute: minute, second: second)
        else { return nil }
        timestamp = time
        dateTime = String(text)
    }
}
