/// Bytes on a link that its other end cannot have meant: the link is closed.
struct LinkViolation: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
