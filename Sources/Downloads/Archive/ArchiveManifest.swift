internal import FunctionKit

/// The archive's `_manifest.json`: what became of each file that was asked for.
///
/// It is the last member, and there exactly when a file was left out: an archive without it holds all.
enum ArchiveManifest {
    static func contents(_ files: [ArchivedFile]) -> ByteBuffer {
        var json = JSONWriter(capacity: 64 + 160 * files.count)
        json.object { json in
            json.key("files")
            json.array { json in
                for file in files {
                    json.object { json in
                        json.key("id")
                        json.value(Int(file.fileID))
                        json.key("name")
                        json.value(file.name)
                        json.key("size")
                        json.value(file.sizeBytes.map(Int.init))
                        json.key("crc32")
                        json.value(file.crc32.map(hex))
                        json.key("status")
                        json.value(file.status.rawValue)
                        json.key("error")
                        json.value(file.error)
                    }
                }
            }
        }
        return json.buffer
    }

    private static func hex(_ crc32: UInt32) -> String {
        let digits = String(crc32, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
