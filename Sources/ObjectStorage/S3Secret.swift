/// A secret text that prints as `<redacted>`.
public struct S3Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The secret itself.
    public let revealed: String

    /// Wraps a secret.
    public init(_ secret: String) { revealed = secret }

    /// `<redacted>`.
    public var description: String { "<redacted>" }
    /// `<redacted>`.
    public var debugDescription: String { "<redacted>" }
    /// Nothing, so that `dump` does not tell the secret either.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
