/// Reads the GNU build-id note of an ELF file, which in a module is the build id of the host it was made for, and checks
/// that the file is not cut short.
///
/// It is read from the file's bytes before anything maps it, so no code of a foreign module ever runs. Every offset comes
/// from the file and is checked against its size.
struct ELFBuildID {
    /// Why a file has no build id.
    struct Fault: Error, Hashable {
        let reason: String
    }

    private static let loadedSegment: UInt32 = 1
    private static let noteSegment: UInt32 = 4
    private static let buildIDNote: UInt32 = 3
    #if arch(x86_64)
    private static let machine: UInt16 = 62
    #elseif arch(arm64)
    private static let machine: UInt16 = 183
    #endif

    private let bytes: [UInt8]

    /// The build id in hexadecimal.
    static func read(_ bytes: [UInt8]) throws(Fault) -> String {
        try ELFBuildID(bytes: bytes).read()
    }

    private func read() throws(Fault) -> String {
        guard bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46]) else { throw Fault(reason: "is not an ELF file") }
        guard try integer(4, UInt8.self) == 2, try integer(5, UInt8.self) == 1 else {
            throw Fault(reason: "is not a 64-bit little-endian ELF file")
        }
        guard try integer(16, UInt16.self) == 3 else { throw Fault(reason: "is not a shared object") }
        guard try integer(18, UInt16.self) == Self.machine else { throw Fault(reason: "is for another processor") }
        let table = try integer(32, UInt64.self)
        let size = try integer(54, UInt16.self)
        let count = try integer(56, UInt16.self)
        guard size >= 56 else { throw Fault(reason: "has a broken table of segments") }
        var id: String?
        for index in 0..<UInt64(count) {
            let (offset, isTooLarge) = table.addingReportingOverflow(index * UInt64(size))
            guard !isTooLarge, let header = Int(exactly: offset) else {
                throw Fault(reason: "has a broken table of segments")
            }
            let type = try integer(header, UInt32.self)
            guard type == Self.noteSegment || type == Self.loadedSegment else { continue }
            let start = try integer(header + 8, UInt64.self)
            let length = try integer(header + 32, UInt64.self)
            let alignment = try integer(header + 48, UInt64.self) == 8 ? 8 : 4
            // Also of what is loaded: the dynamic linker maps it without a look at the file's size, and the first access
            // beyond the end kills the process.
            guard start <= UInt64(bytes.count), length <= UInt64(bytes.count) - start else {
                throw Fault(reason: "is cut short")
            }
            guard type == Self.noteSegment, id == nil else { continue }
            id = try buildID(in: Int(start)..<Int(start + length), alignment: alignment)
        }
        guard let id else { throw Fault(reason: "has no build id") }
        return id
    }

    /// Walks the notes of a segment: sizes of name and description, a type, then both, each padded to the alignment.
    private func buildID(in segment: Range<Int>, alignment: Int) throws(Fault) -> String? {
        var offset = segment.lowerBound
        while segment.upperBound - offset >= 12 {
            let nameLength = Int(try integer(offset, UInt32.self))
            let length = Int(try integer(offset + 4, UInt32.self))
            let type = try integer(offset + 8, UInt32.self)
            let name = offset + 12
            let description = name + padded(nameLength, alignment)
            let end = description + length
            guard end <= segment.upperBound else { throw Fault(reason: "has a broken note") }
            if type == Self.buildIDNote, bytes[name..<name + nameLength].elementsEqual([0x47, 0x4E, 0x55, 0]) {
                return bytes[description..<end].hexadecimal
            }
            offset = description + padded(length, alignment)
        }
        return nil
    }

    private func padded(_ length: Int, _ alignment: Int) -> Int { (length + alignment - 1) / alignment * alignment }

    private func integer<Integer: FixedWidthInteger>(_ offset: Int, _ type: Integer.Type) throws(Fault) -> Integer {
        let width = MemoryLayout<Integer>.size
        guard offset >= 0, offset <= bytes.count - width else { throw Fault(reason: "is cut short") }
        return bytes[offset..<offset + width].reversed().reduce(0) { $0 << 8 | Integer($1) }
    }
}
