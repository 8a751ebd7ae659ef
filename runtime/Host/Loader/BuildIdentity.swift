/// The build id that modules and host must share: Swift on Linux has no stable ABI, so a module is only good for the very
/// compiler and SDK it was compiled with.
///
/// The id digests the SDK's `.swiftmodule` files. Each of them carries the full version of the compiler that wrote it and
/// is only readable for that one, so the compiler is part of the id.
///
/// Digesting takes some 20 ms, too long for a cold start. So the result is kept in the data folder together with size,
/// times and inode of every file; if any of them differs, it is computed anew. The change time cannot be set by programs,
/// so a kept id is never a stale one.
public struct BuildIdentity: Sendable, Hashable {
    /// The id: 32 hexadecimal digits.
    public let id: String
    /// The version of the compiler that built the SDK, such as `Swift version 6.3.1 (swift-6.3.1-RELEASE)`.
    public let compiler: String

    /// Computes the identity of an SDK, or takes it from the data folder. Blocks on the file system.
    ///
    /// - Throws: ``LoaderError`` with code `.sdk` or `.system`.
    static func of(_ sdk: FunctionSDK, dataFolder: String) throws(LoaderError) -> BuildIdentity {
        let files = sdk.moduleFiles
        var keys: [String] = []
        for file in files {
            guard let stamp = FileSystem.stamp(file) else { throw FileSystem.failure("read", file) }
            keys.append(
                "\(file) \(stamp.sizeBytes) \(stamp.modifiedNanoseconds) \(stamp.changedNanoseconds) \(stamp.inode)")
        }
        let key = keys.joined(separator: "\n")
        let cache = "\(dataFolder)/build-id-\(Digest.sha256(Array(sdk.root.utf8)).prefix(4).hexadecimal)"
        if let kept = try? FileSystem.read(cache), let identity = parse(kept, key: key) { return identity }

        let identity = try compute(files)
        let text = "\(identity.id)\n\(identity.compiler)\n\(key)"
        // A data folder that cannot be written costs time at each start, nothing else; building complains about it.
        if (try? FileSystem.makeFolder(dataFolder, isPrivate: true)) != nil {
            try? FileSystem.write(Array(text.utf8), to: cache)
        }
        return identity
    }

    private static func parse(_ bytes: [UInt8], key: String) -> BuildIdentity? {
        let parts = String(decoding: bytes, as: UTF8.self).split(separator: "\n", maxSplits: 2)
        guard parts.count == 3, parts[0].count == 32, parts[0].allSatisfy(\.isHexDigit), parts[2] == key else {
            return nil
        }
        return BuildIdentity(id: String(parts[0]), compiler: String(parts[1]))
    }

    private static func compute(_ files: [String]) throws(LoaderError) -> BuildIdentity {
        var digest = Digest()
        var compiler: String?
        for file in files {
            let bytes = try FileSystem.read(file, limit: 256 << 20)
            digest.add(file.lastPathComponent)
            digest.add(Digest.sha256(bytes))
            if file.hasSuffix("/FunctionKit.swiftmodule") { compiler = version(in: bytes) }
        }
        guard let compiler else {
            throw LoaderError(.sdk, "no compiler version in FunctionKit.swiftmodule; build Ferry again")
        }
        digest.add(compiler)
        return BuildIdentity(id: digest.hexadecimal(bytes: 16), compiler: compiler)
    }

    /// The compiler's version as the control block near the head of a `.swiftmodule` spells it.
    private static func version(in module: [UInt8]) -> String? {
        let head = module.prefix(64 << 10)
        let mark = Array("Swift version ".utf8)
        guard let start = head.indices.first(where: { head[$0...].starts(with: mark) }) else { return nil }
        return String(decoding: head[start...].prefix { (0x20..<0x7F).contains($0) }, as: UTF8.self)
    }
}
