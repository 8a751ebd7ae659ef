// A listing walks the folders in the order of the keys. Within a folder that order is the one of the names, a folder's
// with a `/` at its end: every key below it begins so. Long segments lie below one another in pieces, so they are joined
// before the sort, as `xxx…-1`, `xxx…/1` and `xxx…0` are in that order although the middle one is a folder.

internal import FunctionKit

extension S3FileStore {
    /// A page of a listing.
    struct Listing: Sendable, Equatable {
        enum Item: Sendable, Equatable {
            case object(ListedObject)
            /// All keys that begin so, as one.
            case prefix(String)

            var marker: String {
                switch self {
                case .object(let object): object.key
                case .prefix(let prefix): prefix
                }
            }
        }

        var items: [Item] = []
        var isTruncated = false
    }

    struct ListedObject: Sendable, Equatable {
        let key: String
        let sizeBytes: Int64
        let modifiedAt: Timestamp
        let etag: String
        let crc32: UInt32?
    }

    /// Lists keys in the order of their bytes.
    ///
    /// - Parameters:
    ///   - bucket: The bucket.
    ///   - prefix: What the keys begin with.
    ///   - delimiter: Keys that have it after the prefix are listed as one, up to it; empty for none.
    ///   - after: Only what comes after it; with a delimiter, keys that are listed as one with it have been listed.
    ///   - limit: The most to list.
    /// - Returns: The page.
    /// - Throws: ``S3Fault`` when there is no such bucket.
    func list(
        _ bucket: String, prefix: String = "", delimiter: String = "", after: String = "", limit: Int = 1000
    ) throws -> Listing {
        let folder = try existing(bucket)
        var listing = Listing()
        guard limit > 0 else { return listing }
        let rollUp = RollUp(prefix: prefix, delimiter: delimiter)
        var walk = Walk(root: folder + "/objects", prefix: Array(prefix.utf8), after: Array(after.utf8))
        if rollUp.commonPrefix(of: after).map({ Array($0.utf8) == Array(after.utf8) }) == true {
            walk.skipped = Array(after.utf8)
        }
        try walk.run { key, path in
            let item: Listing.Item
            if let common = rollUp.commonPrefix(of: key.text) {
                item = .prefix(common)
            } else {
                guard let object = try listed(key, path, folder) else { return .next }
                item = .object(object)
            }
            guard listing.items.count < limit else {
                listing.isTruncated = true
                return .stop
            }
            listing.items.append(item)
            if case .prefix(let common) = item { return .skip(Array(common.utf8)) }
            return .next
        }
        return listing
    }

    /// Whether there is any object below.
    func containsObject(_ root: String) throws -> Bool {
        var found = false
        var walk = Walk(root: root, prefix: [], after: [])
        try walk.run { _, _ in
            found = true
            return .stop
        }
        return found
    }

    private func listed(_ key: ObjectKey, _ path: String, _ bucketFolder: String) throws -> ListedObject? {
        let place = Place(bucketFolder: bucketFolder, key: key)
        // Gone since its folder was read, or one that no request would find: not an object.
        guard path == place.data || path == place.dataBeside, let status = try Folder.status(path) else { return nil }
        let generation = Generation(status)
        let metadata = try metadata(of: generation, at: place) ?? ObjectMetadata(of: generation)
        return ListedObject(
            key: key.text, sizeBytes: generation.sizeBytes,
            modifiedAt: Timestamp(milliseconds: generation.modifiedNanoseconds / 1_000_000), etag: metadata.etag,
            crc32: metadata.crc32)
    }

    /// Which keys are listed as one.
    struct RollUp {
        let prefix: String
        let delimiter: String

        /// What stands for the key in the listing, or `nil` when it stands for itself.
        func commonPrefix(of key: String) -> String? {
            guard !delimiter.isEmpty else { return nil }
            let bytes = Array(key.utf8)
            let start = prefix.utf8.count
            let mark = Array(delimiter.utf8)
            guard bytes.count >= start + mark.count, bytes.starts(with: prefix.utf8) else { return nil }
            for index in start...(bytes.count - mark.count) where bytes[index...].starts(with: mark) {
                return String(decoding: bytes[..<(index + mark.count)], as: UTF8.self)
            }
            return nil
        }
    }
}

/// A walk over the keys in a folder of objects, in their order.
private struct Walk {
    enum Verdict {
        case next
        /// Go on after all keys that begin so.
        case skip([UInt8])
        case stop
    }

    /// A segment of keys: a file, or the folder of all keys that go on after it.
    private struct Segment {
        let bytes: [UInt8]
        let path: String
        let isFolder: Bool
        let isBeside: Bool
    }

    let root: String
    let prefix: [UInt8]
    let after: [UInt8]
    var skipped: [UInt8]?

    init(root: String, prefix: [UInt8], after: [UInt8]) {
        self.root = root
        self.prefix = prefix
        self.after = after
    }

    mutating func run(_ visit: (ObjectKey, String) throws -> Verdict) throws {
        _ = try walk(root, [], visit)
    }

    /// Whether to go on.
    private mutating func walk(
        _ folder: String, _ base: [UInt8], _ visit: (ObjectKey, String) throws -> Verdict
    ) throws -> Bool {
        for segment in try segments(of: folder) {
            let full = base + segment.bytes
            if let skipped, full.starts(with: skipped) { continue }
            if segment.isFolder {
                guard full.starts(with: prefix) || prefix.starts(with: full) else { continue }
                // Every key below begins with `full`, so it is before the marker as a whole or not at all.
                if full.lexicographicallyPrecedes(after), !after.starts(with: full) { continue }
                guard try walk(segment.path, full, visit) else { return false }
            } else {
                guard full.starts(with: prefix), after.lexicographicallyPrecedes(full),
                    let text = String(validating: full, as: UTF8.self), let key = ObjectKey(text)
                else { continue }
                switch try visit(key, segment.path) {
                case .next: break
                case .skip(let common): skipped = common
                case .stop: return false
                }
            }
        }
        return true
    }

    private func segments(of folder: String) throws -> [Segment] {
        var segments: [Segment] = []
        try collect(folder, [], into: &segments)
        segments.sort { a, b in
            if a.bytes == b.bytes { return !a.isBeside && b.isBeside }
            return a.bytes.lexicographicallyPrecedes(b.bytes)
        }
        // After a crash a file may lie both in its place and beside it; the one in its place is the newer one.
        var unique: [Segment] = []
        for segment in segments where segment.isFolder || unique.last?.bytes != segment.bytes { unique.append(segment) }
        return unique
    }

    private func collect(_ folder: String, _ base: [UInt8], into segments: inout [Segment]) throws {
        for entry in try Folder.entries(in: folder) {
            guard entry.kind != .other, let name = KeyMapping.read(entry.name) else { continue }
            let path = "\(folder)/\(entry.name)"
            switch (name, entry.kind) {
            case (.piece(let piece), .folder): try collect(path, base + piece, into: &segments)
            case (.segment(let bytes, false), .folder):
                segments.append(
                    Segment(
                        bytes: base + bytes + [UInt8(ascii: "/")], path: path, isFolder: true, isBeside: false))
            case (.segment(let bytes, let isBeside), .file):
                segments.append(Segment(bytes: base + bytes, path: path, isFolder: false, isBeside: isBeside))
            default: break
            }
        }
    }
}
