internal import FunctionKit
internal import Glibc
internal import NIOCore

/// The value of `date` (RFC 9110 section 5.6.7), made once a second. Belongs to one loop.
final class DateCache {
    private var second = -1
    private var text = ByteBuffer()

    func write(into buffer: inout ByteBuffer) {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &time)
        if time.tv_sec != second {
            second = time.tv_sec
            text = DateCache.format(Timestamp(milliseconds: Int64(second) * 1000))
        }
        buffer.writeImmutableBuffer(text)
    }

    static func format(_ time: Timestamp) -> ByteBuffer {
        let days: [StaticString] = ["Sun, ", "Mon, ", "Tue, ", "Wed, ", "Thu, ", "Fri, ", "Sat, "]
        let months: [StaticString] = [
            " Jan ", " Feb ", " Mar ", " Apr ", " May ", " Jun ", " Jul ", " Aug ", " Sep ", " Oct ", " Nov ", " Dec ",
        ]
        let civil = CivilTime(time)
        var buffer = ByteBuffer()
        func two(_ number: Int) {
            buffer.writeInteger(UInt8(0x30 + number / 10))
            buffer.writeInteger(UInt8(0x30 + number % 10))
        }
        buffer.writeStaticString(days[civil.weekday])
        two(civil.day)
        buffer.writeStaticString(months[civil.month - 1])
        two(civil.year / 100)
        two(civil.year % 100)
        buffer.writeStaticString(" ")
        two(civil.hour)
        buffer.writeStaticString(":")
        two(civil.minute)
        buffer.writeStaticString(":")
        two(civil.second)
        buffer.writeStaticString(" GMT")
        return buffer
    }
}
