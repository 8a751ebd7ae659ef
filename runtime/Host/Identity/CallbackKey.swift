internal import WebTokens

/// The secret that callbacks are signed with, in a file of a data folder: `callback.key`.
public enum CallbackKey {
    /// Reads the secret. Blocks on the file system.
    ///
    /// - Parameters:
    ///   - dataFolder: The folder.
    ///   - isMade: Whether a file that is not there is made; otherwise there is no secret then.
    /// - Returns: The secret, or `nil`.
    /// - Throws: ``LoaderError`` when the file can be neither read nor made, or when others may read it.
    public static func read(dataFolder: String, isMade: Bool) throws -> Secret? {
        let path = "\(dataFolder)/callback.key"
        guard isMade || FileSystem.isFile(path) else { return nil }
        return Secret(try SecretFile.read(path, minimumLength: MessageCode.minimumKeyBytes))
    }
}
