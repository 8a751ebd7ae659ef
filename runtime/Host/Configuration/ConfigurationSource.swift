/// Where a key's value comes from.
public struct ConfigurationSource: Sendable, Hashable, CustomStringConvertible {
    /// The configuration's file, or `environment variable NAME`.
    public let place: String
    /// Where in the file.
    public let position: PositionedJSON.Position?
    /// The file that holds the secret, where place and position only name it.
    public internal(set) var secretFile: String?

    /// `config.json:3:5`, `environment variable REDIS_URL`, and the file that they name.
    public var description: String {
        let spot = position.map { "\(place):\($0)" } ?? place
        return secretFile.map { "\(spot), file \($0)" } ?? spot
    }

    /// A problem of what stands there.
    func problem(_ reason: String) -> FileProblem {
        FileProblem(file: place, line: position?.line, column: position?.column, reason: reason)
    }
}
