/// A server cannot listen on an address.
public struct ListenError: Error, Sendable, CustomStringConvertible {
    /// The address.
    public let address: ListenAddress
    /// What the system says.
    public let reason: String

    /// The address and the reason.
    public var description: String { "Cannot listen on \(address): \(reason)." }
}
