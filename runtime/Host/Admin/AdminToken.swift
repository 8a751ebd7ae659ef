/// What callers of the admin listener must know.
public struct AdminToken: Sendable {
    private let bytes: [UInt8]

    /// Takes the configured token.
    public init(_ secret: Secret) { bytes = Array(secret.value.utf8) }

    /// Reads the token of a data folder, `admin.token`; makes one when there is none. Blocks on the file system.
    ///
    /// Hosts that share a data folder share the token. The file is there whole or not at all, with mode 0600.
    ///
    /// - Throws: ``LoaderError`` when the file can be neither read nor made, or when others may read it.
    public init(dataFolder: String) throws {
        let path = AdminToken.path(in: dataFolder)
        let token = try SecretFile.read(path, minimumLength: AdminToken.minimumLength)
        self.init(Secret(token))
    }

    /// The fewest characters of a token.
    public static let minimumLength = 16

    /// Where a data folder's token lies.
    public static func path(in dataFolder: String) -> String { "\(dataFolder)/admin.token" }

    /// Whether a field `Authorization` holds the token; takes as long whatever differs.
    func authorizes(_ field: String?) -> Bool {
        guard let field, field.utf8.count > 7, field.prefix(7).lowercased() == "bearer " else { return false }
        let given = Array(field.utf8.dropFirst(7))
        var difference = UInt8(given.count == bytes.count ? 0 : 1)
        for index in bytes.indices { difference |= bytes[index] ^ (index < given.count ? given[index] : 0) }
        return difference == 0
    }
}
