public import FunctionKit

extension Request {
    /// The highest number that a watcher has seen, from `?since=`.
    ///
    /// - Returns: The number, 0 when there is none.
    /// - Throws: ``FunctionKit/HTTPError`` 400 `validation_failed` for what is no number.
    public func watchedSeq() throws -> Int64 {
        guard let text = queryParameter("since") else { return 0 }
        guard let seq = Request.seq(text) else {
            throw HTTPError.validation([.init(field: "since", problem: "must be the seq of a message")])
        }
        return seq
    }

    /// The highest number that the client of an event stream has seen: from `Last-Event-ID`, which its client sends by
    /// itself, otherwise as ``watchedSeq()``.
    ///
    /// - Returns: The number; 0 when there is none, or when `Last-Event-ID` is of another stream.
    /// - Throws: As ``watchedSeq()``.
    public func watchedEventID() throws -> Int64 {
        let since = try watchedSeq()
        guard let id = lastEventID else { return since }
        return Request.seq(id) ?? 0
    }

    /// Up to 16 digits and nothing else.
    private static func seq(_ text: String) -> Int64? {
        guard (1...16).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int64(text)
    }
}
