/// Makes tickets: short texts that stand for a user where a client can set no header, as browsers on sockets.
public protocol TicketIssuer: Sendable {
    /// Makes a ticket for one thing, which may be used again until it ends.
    ///
    /// Event streams and sockets accept it as `?ticket=` when one of their route's parameters is `subject`. It ends with
    /// the user's own token if that is sooner, and so does what was opened with it.
    ///
    /// - Parameters:
    ///   - user: Whom it stands for.
    ///   - subject: The thing, such as a job's id; 1 to 256 bytes without control characters.
    ///   - lifetime: How long it can be used, at least 1 s.
    /// - Returns: The ticket, of characters that need no escape in a query; and for how long it is valid, whole seconds.
    func ticket(for user: User, subject: String, lifetime: Duration) -> (text: String, seconds: Int)
}
