internal import Glibc

extension LocalS3 {
    /// How to reach the endpoint that a host of this data folder serves. Blocks on the file system; starts nothing.
    ///
    /// - Returns: The endpoint, or `nil` when no host serves one.
    /// - Throws: ``EmulatorError`` with code `.file` when the folder cannot be read.
    public static func running(dataFolder: String) throws -> S3Description? {
        let folder = dataFolder + "/s3"
        do {
            guard access(folder + "/serve.lock", F_OK) == 0 else { return nil }
            let lock = try LockFile(folder + "/serve.lock")
            // Held shared and for a moment: a host that starts meanwhile tries again 20 ms later.
            if try lock.tryLock(.shared) {
                lock.unlock()
                return nil
            }
            return try readDescription(folder + "/endpoint.json")
        } catch let error as SystemError {
            throw EmulatorError(.file, "The folder \(folder) cannot be used.", cause: error)
        }
    }
}
