public import Logging
internal import NIOPosix
public import WebTokens

extension KeySource {
    /// The largest file or answer with keys.
    public static let maxBytes = 1 << 20

    /// Keys of a file, which must be there now and may be replaced later.
    ///
    /// - Parameters:
    ///   - path: The file's path.
    ///   - refresh: How often it is read again.
    ///   - logger: For what goes wrong then.
    ///   - parse: Takes the keys out of its contents.
    /// - Returns: The source.
    /// - Throws: ``LoaderError`` when it cannot be read, and what `parse` throws.
    public static func file(
        _ path: String, refresh: Duration, logger: Logger,
        parse: @escaping @Sendable ([UInt8]) async throws -> TokenKeySet
    ) async throws -> KeySource {
        let read: @Sendable () async throws -> TokenKeySet = {
            try await parse(
                try await NIOThreadPool.singleton.runIfActive { try FileSystem.read(path, limit: KeySource.maxBytes) })
        }
        return KeySource(initial: try await read(), refresh: refresh, logger: logger, fetch: read)
    }
}
