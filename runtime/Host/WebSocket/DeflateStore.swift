/// The compressors and decompressors of one loop's sockets that keep nothing from one message to the next.
///
/// They are lent for one message, so that an idle socket holds no state of zlib's (some 300 KB with both). Only a message
/// that comes in fragments keeps its decompressor for longer.
final class DeflateStore {
    /// How many decompressors are kept for the next messages.
    private static let keptCount = 4

    private var inflaters: [Inflater] = []
    private var deflaters = [Deflater?](repeating: nil, count: 16)

    /// A decompressor without context, or `nil` without memory.
    func takeInflater() -> Inflater? { inflaters.popLast() ?? Inflater() }

    func giveBack(_ inflater: Inflater) {
        guard inflaters.count < DeflateStore.keptCount else { return }
        inflater.reset()
        inflaters.append(inflater)
    }

    /// The compressor for this window, without context; to be used at once and not kept. `nil` without memory.
    func deflater(windowBits: Int) -> Deflater? {
        if let deflater = deflaters[windowBits] {
            deflater.reset()
            return deflater
        }
        let deflater = Deflater(windowBits: windowBits)
        deflaters[windowBits] = deflater
        return deflater
    }
}
