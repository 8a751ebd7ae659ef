/// Two routes that match the same requests.
public struct RouteConflict: Error, Sendable, Hashable, CustomStringConvertible {
    let method: String
    let path: String
    let owner: String
    let otherPath: String
    let otherOwner: String

    /// Both routes with their functions.
    public var description: String {
        "The route \(method) \(path) of \(owner) is the same as \(method) \(otherPath) of \(otherOwner)."
    }
}
