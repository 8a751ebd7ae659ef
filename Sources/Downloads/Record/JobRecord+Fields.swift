internal import FunctionKit
internal import NIOCore

// The record as fields of a Redis hash. Fields that consist of several values separate them by spaces, a hyphen stands
// for none; text that may hold spaces comes last.

extension JobRecord {
    /// The fields in the order in which they are read.
    static let fields = [
        "status", "round", "seq", "claim", "owner", "options", "ids", "files", "sizes", "errors", "progress", "attempt",
        "error", "upload", "archive", "created", "updated", "expires",
    ]

    /// How many files a record may have: a place has four digits.
    static let maxFiles = 10_000

    /// The digits of one size. 2⁴⁴ bytes are more than an object may have.
    static let sizeWidth = 11

    /// What never changes within a round, as names and values in turn.
    var constantFields: [String] {
        [
            "round", String(round), "owner", owner ?? "", "options", options,
            "ids", files.lazy.map { String($0.id) }.joined(separator: ","),
            "created", String(createdAt.milliseconds),
        ]
    }

    /// What a change may change, as names and values in turn; files aside.
    var variableFields: [String] {
        [
            "status", status.rawValue,
            "progress", Self.joined(progress),
            "attempt", "\(attempt) \(maxAttempts)",
            "error", failure.map { "\($0.code) \($0.message)" } ?? "",
            "upload", upload.map { "\($0.id) \($0.key)" } ?? "",
            "archive",
            archive.map { "\($0.sizeBytes) \(String($0.crc32, radix: 16)) \($0.key)" } ?? "",
            "updated", String(updatedAt.milliseconds),
            "expires", expiresAt.map { String($0.milliseconds) } ?? "",
        ]
    }

    /// The results of all files, as names and values in turn.
    var fileFields: [String] {
        [
            "files", String(files.map { Self.letter($0.state) }),
            "sizes", files.lazy.map { Self.digits($0.sizeBytes) }.joined(),
            "errors", errorLines(Array(files.indices)),
        ]
    }

    /// The results of some files as the script takes them: a place of four digits, the letter, the size.
    func fileCells(_ places: [Int]) -> String {
        places.lazy.map { place in
            let digits = String(place)
            let padded = String(repeating: "0", count: 4 - digits.count) + digits
            return padded + String(Self.letter(files[place].state)) + Self.digits(files[place].sizeBytes)
        }.joined()
    }

    /// The reasons of those among some files that failed. A later line about a file stands for an earlier one.
    func errorLines(_ places: [Int]) -> String {
        places.lazy.compactMap { place in files[place].error.map { "\(place)\t\(JobFailure.line($0))\n" } }.joined()
    }

    private static func joined(_ progress: Progress) -> String {
        "\(progress.permille) \(progress.bytes) \(progress.totalBytes.map(String.init) ?? "-") "
            + (progress.secondsRemaining.map(String.init) ?? "-")
    }

    private static func letter(_ state: JobFile.State) -> Character {
        switch state {
        case .pending: "p"
        case .completed: "c"
        case .failed: "f"
        }
    }

    private static func digits(_ size: Int64?) -> String {
        guard let size else { return String(repeating: "-", count: sizeWidth) }
        let digits = String(min(max(size, 0), 1 << 44 - 1), radix: 16)
        return String(repeating: "0", count: sizeWidth - digits.count) + digits
    }

    /// Reads the values of ``fields``.
    ///
    /// - Returns: The record, or `nil` when there is none.
    /// - Throws: ``DownloadsError`` with code `corruptRecord`; whatever is in Redis, nothing here traps.
    init?(id: JobID, values: [RESPValue]) throws {
        guard values.count == Self.fields.count else { throw Self.corrupt("reply") }
        if case .null = values[0] { return nil }
        guard let status = JobStatus(rawValue: values[0].string ?? "") else { throw Self.corrupt("status") }
        guard let round = values[1].integer, (1...Int64(Self.lastRound)).contains(round) else {
            throw Self.corrupt("round")
        }
        guard let seq = values[2].integer, (1...Self.lastSeq).contains(seq), let created = values[15].integer,
            let updated = values[16].integer
        else { throw Self.corrupt("seq or times") }
        let attempt = Self.words(values[11], 2)
        guard attempt.count == 2, let number = Int(attempt[0]), let maximum = Int(attempt[1]) else {
            throw Self.corrupt("attempt")
        }
        let owner = values[4].string ?? ""
        self.init(
            id: id, round: Int(round), owner: owner.isEmpty ? nil : owner, options: values[5].string ?? "",
            fileIDs: [], maxAttempts: maximum, createdAt: Timestamp(milliseconds: created),
            updatedAt: Timestamp(milliseconds: updated))
        self.status = status
        self.seq = seq
        claim = values[3].integer.flatMap(Int.init(exactly:)) ?? 0
        self.attempt = number
        expiresAt = values[17].integer.map(Timestamp.init(milliseconds:))
        files = try Self.files(ids: values[6], states: values[7], sizes: values[8])
        try readErrors(values[9])
        progress = try Self.progress(values[10], files: files)
        let error = Self.words(values[12], 2)
        if error.count == 2 { failure = JobFailure(code: String(error[0]), message: String(error[1])) }
        let upload = Self.words(values[13], 2)
        if upload.count == 2 { self.upload = ObjectUpload(key: String(upload[1]), id: String(upload[0])) }
        let archive = Self.words(values[14], 3)
        if archive.count == 3, let size = Int64(archive[0]), let crc32 = UInt32(archive[1], radix: 16) {
            self.archive = HistoryArchive(key: String(archive[2]), sizeBytes: size, crc32: crc32)
        }
    }

    /// The first `count - 1` words and the rest.
    private static func words(_ value: RESPValue, _ count: Int) -> [Substring] {
        (value.string ?? "").split(separator: " ", maxSplits: count - 1)
    }

    private static func progress(_ value: RESPValue, files: [JobFile]) throws -> Progress {
        let parts = words(value, 4)
        guard parts.count == 4, let permille = Int(parts[0]), (0...1000).contains(permille),
            let bytes = Int64(parts[1])
        else { throw corrupt("progress") }
        return Progress(
            current: files.count { $0.state != .pending }, total: files.count, permille: permille, bytes: bytes,
            totalBytes: Int64(parts[2]), secondsRemaining: Int(parts[3]))
    }

    private static func files(ids: RESPValue, states: RESPValue, sizes: RESPValue) throws -> [JobFile] {
        guard case .bytes(let ids) = ids, case .bytes(let states) = states, case .bytes(let sizes) = sizes else {
            throw corrupt("files")
        }
        let count = states.readableBytes
        guard count <= maxFiles else { throw corrupt("files") }
        guard sizes.readableBytes == count * sizeWidth else { throw corrupt("sizes") }
        var files: [JobFile] = []
        files.reserveCapacity(count)
        var digits = ids.readableBytesView[...]
        let letters = states.readableBytesView
        let cells = sizes.readableBytesView
        for (place, letter) in letters.enumerated() {
            guard let id = readID(&digits) else { throw corrupt("ids") }
            let state: JobFile.State
            switch letter {
            case UInt8(ascii: "p"): state = .pending
            case UInt8(ascii: "c"): state = .completed
            case UInt8(ascii: "f"): state = .failed
            default: throw corrupt("files")
            }
            let start = cells.startIndex + place * sizeWidth
            files.append(JobFile(id: id, state: state, sizeBytes: readSize(cells[start..<start + sizeWidth])))
        }
        guard digits.isEmpty else { throw corrupt("ids") }
        return files
    }

    /// Takes one id and the comma behind it.
    private static func readID(_ digits: inout ByteBufferView) -> Int64? {
        var id: Int64 = 0
        var count = 0
        while let byte = digits.first, byte != UInt8(ascii: ",") {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte), count < 18 else { return nil }
            id = id * 10 + Int64(byte - UInt8(ascii: "0"))
            count += 1
            digits = digits.dropFirst()
        }
        digits = digits.dropFirst()
        return count > 0 ? id : nil
    }

    private static func readSize(_ cell: ByteBufferView) -> Int64? {
        var size: Int64 = 0
        for byte in cell {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): size = size << 4 | Int64(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): size = size << 4 | Int64(byte - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return size
    }

    private mutating func readErrors(_ value: RESPValue) throws {
        guard let text = value.string, !text.isEmpty else { return }
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "\t", maxSplits: 1)
            guard parts.count == 2, let place = Int(parts[0]), files.indices.contains(place) else {
                throw Self.corrupt("errors")
            }
            files[place].error = String(parts[1])
        }
    }

    private static func corrupt(_ field: StaticString) -> DownloadsError {
        DownloadsError(.corruptRecord, "the field \(field) cannot be read")
    }
}
