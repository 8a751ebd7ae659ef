internal import Checksum
internal import NIOCore

/// A part that is being filled.
struct PartBuffer: Sendable {
    /// A place in a part to which it can go back.
    struct Mark: Sendable {
        fileprivate let pieceCount: Int
        fileprivate let sizeBytes: Int
        fileprivate let crc: CRC32
    }

    /// Bytes of a header that are not known yet: one whole piece.
    private struct Hole: Sendable {
        let piece: Int
        let crcBefore: CRC32
    }

    let number: Int
    private(set) var sizeBytes = 0
    private var pieces: [ByteBuffer] = []
    /// The checksum of the bytes after the hole, or of all when there is none.
    private var crc = CRC32()
    /// How many bytes there are after the hole.
    private var bytesAfterHole = 0
    private var hole: Hole?
    /// Whether the last piece is a buffer of this part's own that may grow.
    private var lastMayGrow = false

    /// Bytes that are copied are gathered into buffers of at most this size.
    private static let gatherBytes = 64 << 10

    init(number: Int) { self.number = number }

    var hasHole: Bool { hole != nil }

    /// The finished part; its hole must be filled.
    var part: ZipPart {
        precondition(hole == nil, "A part with an unknown header cannot be sent.")
        return ZipPart(number: number, body: pieces, sizeBytes: sizeBytes, crc32: crc.value)
    }

    /// Adds bytes of a member; their checksum follows by ``append(_:byteCount:)``.
    mutating func append(_ piece: ByteBuffer, copying: Bool) {
        let count = piece.readableBytes
        sizeBytes += count
        if hole != nil { bytesAfterHole += count }
        guard copying else {
            pieces.append(piece)
            lastMayGrow = false
            return
        }
        if lastMayGrow, pieces[pieces.count - 1].readableBytes + count <= Self.gatherBytes {
            pieces[pieces.count - 1].writeImmutableBuffer(piece)
        } else {
            var own = ByteBuffer()
            own.reserveCapacity(count)
            own.writeImmutableBuffer(piece)
            pieces.append(own)
            lastMayGrow = true
        }
    }

    /// Takes in the checksum of bytes that were added.
    mutating func append(_ added: CRC32, byteCount: Int) {
        crc.append(added, byteCount: Int64(byteCount))
    }

    /// Adds bytes of a header or of the directory, checksum and all.
    mutating func appendRecord(_ piece: ByteBuffer) {
        append(piece, copying: true)
        crc.update(piece)
    }

    /// Keeps the place of a header's bytes that will be known later.
    mutating func appendHole(_ placeholder: ByteBuffer) {
        precondition(hole == nil, "One member at a time is open.")
        append(placeholder, copying: false)
        hole = Hole(piece: pieces.count - 1, crcBefore: crc)
        crc = CRC32()
        bytesAfterHole = 0
    }

    /// Puts a header's bytes into the hole, as many as it has room for.
    mutating func fillHole(from header: inout ByteBuffer) {
        guard let hole, let bytes = header.readSlice(length: pieces[hole.piece].readableBytes) else { return }
        pieces[hole.piece] = bytes
        var whole = hole.crcBefore
        whole.update(bytes)
        whole.append(crc, byteCount: Int64(bytesAfterHole))
        crc = whole
        self.hole = nil
    }

    /// This place. Nothing that comes later is gathered into the buffers before it.
    mutating func mark() -> Mark {
        precondition(hole == nil, "One member at a time is open.")
        lastMayGrow = false
        return Mark(pieceCount: pieces.count, sizeBytes: sizeBytes, crc: crc)
    }

    /// The part as it was at the mark.
    func rewound(to mark: Mark) -> PartBuffer {
        var part = PartBuffer(number: number)
        part.pieces = Array(pieces.prefix(mark.pieceCount))
        part.sizeBytes = mark.sizeBytes
        part.crc = mark.crc
        return part
    }
}
