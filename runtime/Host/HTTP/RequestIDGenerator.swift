/// Makes UUIDs of version 4 (RFC 9562) for requests that come without an id. Belongs to one loop.
///
/// The ids need be unique, not secret, so a generator (xoshiro256**, Blackman and Vigna) seeded once from the system's
/// randomness serves; asking the system each time would be two system calls a request.
struct RequestIDGenerator {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    init() {
        var system = SystemRandomNumberGenerator()
        state = (system.next() | 1, system.next(), system.next(), system.next())
    }

    mutating func next() -> String {
        let high = (random() & ~0xF000) | 0x4000
        let low = (random() & ~(0b11 << 62)) | (0b10 << 62)
        return String(unsafeUninitializedCapacity: 36) { text in
            var position = 0
            func write(_ value: UInt64, _ digits: Int) {
                var shift = UInt64(digits * 4)
                while shift > 0 {
                    shift -= 4
                    let nibble = UInt8(truncatingIfNeeded: value >> shift) & 15
                    text[position] = nibble < 10 ? 0x30 + nibble : 0x57 + nibble
                    position += 1
                }
            }
            func dash() {
                text[position] = UInt8(ascii: "-")
                position += 1
            }
            write(high >> 32, 8)
            dash()
            write(high >> 16, 4)
            dash()
            write(high, 4)
            dash()
            write(low >> 48, 4)
            dash()
            write(low, 12)
            return position
        }
    }

    private mutating func random() -> UInt64 {
        func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 { value << count | value >> (64 - count) }
        let result = rotate(state.1 &* 5, 7) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = rotate(state.3, 45)
        return result
    }
}
