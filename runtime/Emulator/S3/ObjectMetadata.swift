internal import ObjectStorage

/// What is kept of an object beside its bytes: a small text file, one line a fact.
struct ObjectMetadata: Sendable, Equatable {
    /// A header field to be sent with the object.
    struct Field: Sendable, Equatable {
        let name: String
        let value: String
    }

    /// The entity tag without its quotes.
    var etag: String
    /// CRC-32 of the whole object, where it was computed.
    var crc32: UInt32?
    /// The upload that made the object, so that completing it again is answered as the first time.
    var uploadID: String?
    /// Header fields, names in lower case.
    var fields: [Field] = []

    /// The file's text. A header field's value has no line break, so a line is a fact.
    var text: String {
        var lines = ["etag \(etag)"]
        if let crc32 { lines.append("crc32 " + String(crc32, radix: 16)) }
        if let uploadID { lines.append("upload \(uploadID)") }
        lines += fields.map { "header \($0.name): \($0.value)" }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Reads the file's text; `nil` when it is not whole.
    init?(text: String) {
        guard text.hasSuffix("\n") else { return nil }
        var etag: String?
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { return nil }
            switch parts[0] {
            case "etag": etag = parts[1]
            case "crc32": crc32 = UInt32(parts[1], radix: 16)
            case "upload": uploadID = parts[1]
            case "header":
                guard let colon = parts[1].firstRange(of: ": ") else { return nil }
                fields.append(
                    Field(
                        name: String(parts[1][..<colon.lowerBound]), value: String(parts[1][colon.upperBound...])))
            default: return nil
            }
        }
        guard let etag else { return nil }
        self.etag = etag
    }

    init(etag: String, crc32: UInt32?, uploadID: String? = nil, fields: [Field] = []) {
        self.etag = etag
        self.crc32 = crc32
        self.uploadID = uploadID
        self.fields = fields
    }

    /// What is said of a file that a person has put there: the tag changes with the file.
    init(of generation: Generation) {
        self.init(
            etag: String(generation.modifiedNanoseconds, radix: 16) + "-" + String(generation.sizeBytes, radix: 16),
            crc32: nil)
    }

    func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }
}

/// Which content of a file is meant: its metadata file carries this in its name.
///
/// The data file is put in place by one rename, after the metadata file for its time and size has been written. So there
/// is no moment, and no crash, at which new bytes are described by old metadata or the other way round; and a file that a
/// person replaced is recognised. Survives a copy of the folder that keeps times (`cp -a`, `rsync -a`).
struct Generation: Sendable, Hashable {
    let modifiedNanoseconds: Int64
    let sizeBytes: Int64

    /// What is added to the name; `%m` begins no escape, so no key's name is equal.
    var suffix: String { "%m\(modifiedNanoseconds).\(sizeBytes)" }
}
