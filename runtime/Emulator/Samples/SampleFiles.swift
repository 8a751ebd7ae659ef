/// Three small downloads to try things out with: ZIP files under the keys of the ids 70000, 70001 and 70002.
///
/// Their bytes are the same each time they are made.
public enum SampleFiles {
    /// The ids of the files.
    public static let ids: [Int64] = [70_000, 70_001, 70_002]

    /// Puts the files that are missing into a bucket. Blocks for some milliseconds.
    ///
    /// - Parameters:
    ///   - store: The store.
    ///   - bucket: A bucket that exists.
    ///   - keyTemplate: The keys, with `{file_id}` for the id.
    /// - Returns: The keys of the files, in the order of their ids.
    /// - Throws: An error of the store.
    @discardableResult
    public static func install(
        in store: S3FileStore, bucket: String, keyTemplate: String = "downloads/{file_id}.zip"
    ) throws -> [String] {
        try ids.map { id in
            let key = keyTemplate.replacing("{file_id}", with: String(id))
            if try !store.contains(bucket: bucket, key: key) {
                let (name, bytes) = content(of: id)
                try store.importBytes(
                    StoredZIP.bytes(name: name, content: bytes), bucket: bucket, key: key,
                    contentType: "application/zip")
            }
            return key
        }
    }

    static func content(of id: Int64) -> (name: String, bytes: [UInt8]) {
        switch id {
        case 70_000: ("read-me.txt", Array(text.utf8))
        case 70_001: ("measurements.csv", measurements)
        default: ("picture.bmp", picture)
        }
    }

    private static let text = """
        This is a sample file of Ferry.

        Ferry gathers files like this one into an archive, tells how far it has got,
        and hands out a link to the archive when it is complete.

        """

    /// Ten thousand lines, about 300 KB.
    private static var measurements: [UInt8] {
        var text = "minute,sensor,temperature_celsius,humidity_percent\n"
        var state: UInt32 = 1
        for minute in 0..<10_000 {
            state = state &* 1_664_525 &+ 1_013_904_223
            let tenths = 150 + Int(state >> 24) % 100
            let humidity = 30 + Int(state >> 16 & 0xFF) % 50
            text += "\(minute),sensor-\(minute % 7),\(tenths / 10).\(tenths % 10),\(humidity)\n"
        }
        return Array(text.utf8)
    }

    /// A bitmap of 800 by 600 points of 24 bits, 1.4 MB: a sky over a sea.
    private static var picture: [UInt8] {
        let width = 800
        let height = 600
        var bytes: [UInt8] = Array("BM".utf8)
        bytes.reserveCapacity(54 + width * height * 3)
        // Sizes and offsets of the file header (14 bytes) and of BITMAPINFOHEADER (40 bytes), little endian.
        bytes.append32(54 + width * height * 3)
        bytes.append32(0)
        bytes.append32(54)
        bytes.append32(40)
        bytes.append32(width)
        bytes.append32(height)
        bytes.append16(1)
        bytes.append16(24)
        for number in [0, width * height * 3, 2835, 2835, 0, 0] { bytes.append32(number) }
        for row in 0..<height {
            for column in 0..<width {
                let wave = (row * 7 + column * 3) % 48
                if row < height / 2 {
                    bytes.append(UInt8(120 + wave))
                    bytes.append(UInt8(70 + row / 8))
                    bytes.append(UInt8(20 + wave / 2))
                } else {
                    bytes.append(UInt8(235 - (row - height / 2) / 8))
                    bytes.append(UInt8(200 - (row - height / 2) / 4))
                    bytes.append(UInt8(120 + column / 10))
                }
            }
        }
        return bytes
    }
}

extension [UInt8] {
    mutating func append16(_ number: Int) {
        append(UInt8(truncatingIfNeeded: number))
        append(UInt8(truncatingIfNeeded: number >> 8))
    }

    mutating func append32(_ number: Int) {
        append16(number)
        append16(number >> 16)
    }
}
