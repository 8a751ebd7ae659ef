public import FunctionKit
internal import HTTPTypes

extension Request {
    /// The request's `Idempotency-Key`, by which the same request sent again finds the job of the first one.
    ///
    /// - Returns: The key, or `nil` when there is none.
    /// - Throws: ``FunctionKit/HTTPError`` 400 `validation_failed` for one that is not 1 to 255 visible ASCII characters,
    ///   and for several.
    public func idempotencyKey() throws -> String? {
        guard let name = HTTPField.Name("Idempotency-Key") else { return nil }
        let values = headers[values: name]
        guard let key = values.first else { return nil }
        guard values.count == 1, (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else {
            let problem = "must be one value of 1 to 255 visible ASCII characters"
            throw HTTPError.validation([.init(field: "Idempotency-Key", problem: problem)])
        }
        return key
    }
}
