internal import Checksum
public import NIOCore

/// Lays an archive out as the parts of a multipart upload while its members stream by.
///
/// The caller hands in members in order and takes finished parts out; nothing here does I/O. Every part has exactly
/// ``partSizeBytes``, the last one at most that.
///
/// A local header carries the checksum, which is known only after the member's bytes have passed. So the part in which
/// such a header lies is held back (two parts when the header lies across their border), later parts are given out
/// first, and the held one follows when the member ends. Where the checksum was known beforehand nothing is held back,
/// and the bytes are checked against it.
///
/// A member that cannot be finished is taken back by ``discardMember()``: the archive then goes on as if it had never
/// begun. For that the bytes before it in its first part are kept while it is open; the parts from there on are given
/// out anew under the same numbers, so that the store replaces what it has. Leaving the dead bytes in the archive
/// instead would have misled readers that stream, which do not look at the directory.
///
/// Memory: the part being filled, the held part or the kept beginning, what was not taken out yet, and some 100 bytes
/// a member for the directory. Chunks are passed on as they are; small ones, and ones whose storage is more than twice
/// their size, are copied, so that what is held is at most about twice what it counts.
///
/// One pass over the bytes makes every checksum: of the member, of each part, and of the archive, by combination.
public struct ZipPartAssembler: Sendable {
    /// What is open between ``beginMember(_:)`` and its end.
    private struct OpenMember: Sendable {
        var entry: ZipEntry
        let expected: CRC32?
        var writtenBytes: Int64 = 0
        /// The checksum up to the current run.
        var crc = CRC32()
        let firstPart: Int
        let mark: PartBuffer.Mark
        /// The first part as it was before the member, once that part is complete.
        var beginning: PartBuffer?
    }

    private enum Kind {
        case record
        case hole
        case data
    }

    /// The size of every part but the last.
    public let partSizeBytes: Int
    /// How many parts there may be.
    public let maximumPartCount: Int

    private var part = PartBuffer(number: 1)
    private var held: [PartBuffer] = []
    private var ready: [ZipPart] = []
    private var member: OpenMember?
    /// The member's bytes in the current part: their checksum is joined to the part's and the member's at its end.
    private var run = CRC32()
    private var runBytes = 0
    private var directory = ByteBuffer()
    private var memberCount = 0
    /// The size and checksum of the finished members.
    private var sizeBytes: Int64 = 0
    private var crc = CRC32()
    private var isFinished = false

    /// Shorter chunks are copied together: a thousand tiny buffers cost more than copying them.
    private static let copyBelowBytes = 16 << 10
    private static let maximumDirectoryBytes = 1 << 30

    /// Starts an empty archive.
    ///
    /// - Parameters:
    ///   - partSizeBytes: At least 1; S3 wants 5 MiB or more of every part but the last.
    ///   - maximumPartCount: 10 000 for S3.
    public init(partSizeBytes: Int, maximumPartCount: Int = 10_000) {
        precondition(partSizeBytes > 0 && maximumPartCount > 0, "Part size and part count are positive.")
        self.partSizeBytes = partSizeBytes
        self.maximumPartCount = maximumPartCount
    }

    /// How many bytes of the open member have come; 0 when none is open.
    public var memberBytes: Int64 { member?.writtenBytes ?? 0 }

    /// Whether a member is open.
    public var hasOpenMember: Bool { member != nil }

    /// The next part that is complete, in the order in which they may be sent, or `nil`.
    public mutating func takePart() -> ZipPart? {
        ready.isEmpty ? nil : ready.removeFirst()
    }

    /// Writes a member whose bytes are all there.
    ///
    /// - Parameters:
    ///   - member: Its description.
    ///   - contents: The file's bytes, exactly the member's size.
    ///   - deflateLevel: 1 (fast) to 12 (small) to compress where that makes it smaller; `nil` stores it as it is.
    /// - Returns: The CRC-32 of the contents.
    /// - Throws: `memberTooShort`, `memberTooLong`, `checksumMismatch` and `invalidName` leave the archive as it was;
    ///   after `tooManyParts` and `tooManyMembers` it cannot be finished.
    @discardableResult
    public mutating func add(
        _ member: ZipMember, contents: ByteBuffer, deflateLevel: Int? = nil
    ) throws(ZipError) -> UInt32 {
        requireNoMember()
        try checkSize(Int64(contents.readableBytes), of: member)
        let checksum = CRC32(of: contents)
        try check(checksum, against: member.crc32.map(CRC32.init(_:)), name: member.name)
        var entry = try makeEntry(for: member)
        var body = contents
        if let deflateLevel, let compressed = Deflate.compress(contents, level: deflateLevel) {
            entry.method = .deflate
            entry.compressedBytes = Int64(compressed.readableBytes)
            body = compressed
        }
        entry.crc32 = checksum
        let header = entry.localHeader
        try place(header, as: .record)
        try place(body, as: .data)
        let bodyChecksum = entry.method == .store ? checksum : CRC32(of: body)
        flushRun()
        try finish(entry, header: header, body: bodyChecksum)
        return checksum.value
    }

    /// Opens a member whose bytes follow by ``write(_:)``. It is stored as it is.
    ///
    /// - Throws: `invalidName`, which leaves the archive as it was; `tooManyParts`.
    public mutating func beginMember(_ member: ZipMember) throws(ZipError) {
        requireNoMember()
        var entry = try makeEntry(for: member)
        let expected = member.crc32.map(CRC32.init(_:))
        if let expected { entry.crc32 = expected }
        self.member = OpenMember(entry: entry, expected: expected, firstPart: part.number, mark: part.mark())
        try place(entry.localHeader, as: expected == nil ? .hole : .record)
    }

    /// Writes the next bytes of the open member. The archive keeps the buffer until its part is taken out.
    ///
    /// - Throws: `memberTooLong` and `tooManyParts`; the member can only be discarded then.
    public mutating func write(_ chunk: ByteBuffer) throws(ZipError) {
        guard let size = member?.entry.sizeBytes else { preconditionFailure("No member is open.") }
        guard memberBytes + Int64(chunk.readableBytes) <= size else {
            throw ZipError(.memberTooLong, "\(name) is longer than \(size) bytes.")
        }
        member?.writtenBytes += Int64(chunk.readableBytes)
        try place(chunk, as: .data)
    }

    /// Ends the open member; a part that was held back for it becomes ready.
    ///
    /// - Returns: The CRC-32 of the member's bytes.
    /// - Throws: `memberTooShort`, `checksumMismatch` or `tooManyMembers`; the member can only be discarded then.
    public mutating func endMember() throws(ZipError) -> UInt32 {
        flushRun()
        guard let member else { preconditionFailure("No member is open.") }
        var entry = member.entry
        guard member.writtenBytes == entry.sizeBytes else {
            throw ZipError(
                .memberTooShort, "\(entry.name) ended after \(member.writtenBytes) of \(entry.sizeBytes) bytes.")
        }
        try check(member.crc, against: member.expected, name: entry.name)
        entry.crc32 = member.crc
        let header = entry.localHeader
        try finish(entry, header: header, body: member.crc)
        var rest = header
        for var part in held {
            part.fillHole(from: &rest)
            ready.append(part.part)
        }
        held.removeAll()
        part.fillHole(from: &rest)
        self.member = nil
        return entry.crc32.value
    }

    /// Takes the open member back: the archive goes on as if it had never begun.
    ///
    /// - Returns: The first part that is void. It and all with higher numbers that were taken out come again with other
    ///   bytes, under the same numbers; each that is still being sent must have ended by then.
    public mutating func discardMember() -> Int {
        guard let member else { preconditionFailure("No member is open.") }
        part = member.beginning ?? part.rewound(to: member.mark)
        held.removeAll()
        ready.removeAll { $0.number >= member.firstPart }
        run = CRC32()
        runBytes = 0
        self.member = nil
        return member.firstPart
    }

    /// Writes the central directory and completes the last part. Nothing can be written afterwards.
    ///
    /// - Returns: What the archive has become.
    /// - Throws: `tooManyParts`.
    public mutating func finish() throws(ZipError) -> ZipSummary {
        requireNoMember()
        isFinished = true
        let end = ZipDirectoryEnd(
            entryCount: Int64(memberCount), directoryBytes: Int64(directory.readableBytes), directoryOffset: sizeBytes)
        end.write(into: &directory)
        try place(directory, as: .record)
        crc.update(directory)
        sizeBytes += Int64(directory.readableBytes)
        directory = ByteBuffer()
        if part.sizeBytes > 0 { completePart() }
        return ZipSummary(
            sizeBytes: sizeBytes, crc32: crc.value, memberCount: memberCount, partCount: part.number - 1)
    }

    // MARK: Members

    private var name: String { member?.entry.name ?? "" }

    private func requireNoMember() {
        precondition(member == nil, "A member is open.")
        precondition(!isFinished, "The archive is finished.")
    }

    private func makeEntry(for member: ZipMember) throws(ZipError) -> ZipEntry {
        guard (1...65_535).contains(member.name.utf8.count) else {
            throw ZipError(.invalidName, "A member's name has 1 to 65 535 bytes.")
        }
        return ZipEntry(
            name: member.name, method: .store, modifiedAt: member.modifiedAt, crc32: CRC32(),
            compressedBytes: member.sizeBytes, sizeBytes: member.sizeBytes, offset: sizeBytes)
    }

    private func checkSize(_ count: Int64, of member: ZipMember) throws(ZipError) {
        guard count != member.sizeBytes else { return }
        throw ZipError(
            count < member.sizeBytes ? .memberTooShort : .memberTooLong,
            "\(member.name) has \(count) instead of \(member.sizeBytes) bytes.")
    }

    private func check(_ checksum: CRC32, against expected: CRC32?, name: String) throws(ZipError) {
        guard let expected, expected != checksum else { return }
        throw ZipError(.checksumMismatch, "\(name) does not have the checksum that was announced.")
    }

    /// Takes a complete member into the directory and into the archive's size and checksum.
    private mutating func finish(_ entry: ZipEntry, header: ByteBuffer, body: CRC32) throws(ZipError) {
        guard directory.readableBytes < Self.maximumDirectoryBytes else {
            throw ZipError(.tooManyMembers, "The archive's directory is larger than 1 GiB.")
        }
        entry.writeCentralHeader(into: &directory)
        memberCount += 1
        crc.update(header)
        crc.append(body, byteCount: entry.compressedBytes)
        sizeBytes += Int64(header.readableBytes) + entry.compressedBytes
    }

    // MARK: Parts

    private mutating func place(_ bytes: ByteBuffer, as kind: Kind) throws(ZipError) {
        var rest = bytes
        let copying = rest.readableBytes < Self.copyBelowBytes || rest.storageCapacity / 2 > rest.readableBytes
        while let piece = rest.readSlice(length: min(rest.readableBytes, partSizeBytes - part.sizeBytes)),
            piece.readableBytes > 0
        {
            guard part.number <= maximumPartCount else {
                throw ZipError(.tooManyParts, "The archive is larger than \(maximumPartCount) parts.")
            }
            switch kind {
            case .record: part.appendRecord(piece)
            case .hole: part.appendHole(piece)
            case .data:
                part.append(piece, copying: copying)
                run.update(piece)
                runBytes += piece.readableBytes
            }
            if part.sizeBytes == partSizeBytes { completePart() }
        }
    }

    private mutating func completePart() {
        flushRun()
        if let member, member.firstPart == part.number {
            self.member?.beginning = part.rewound(to: member.mark)
        }
        if part.hasHole { held.append(part) } else { ready.append(part.part) }
        part = PartBuffer(number: part.number + 1)
    }

    /// Joins the checksum of the member's bytes in this part to the part's and the member's.
    private mutating func flushRun() {
        guard runBytes > 0 else { return }
        part.append(run, byteCount: runBytes)
        member?.crc.append(run, byteCount: Int64(runBytes))
        run = CRC32()
        runBytes = 0
    }
}

extension ZipEntry {
    /// The local header's bytes.
    fileprivate var localHeader: ByteBuffer {
        var header = ByteBuffer()
        header.reserveCapacity(64 + name.utf8.count)
        writeLocalHeader(into: &header)
        return header
    }
}
