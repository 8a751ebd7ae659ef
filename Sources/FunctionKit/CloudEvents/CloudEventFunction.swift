/// A handler for CloudEvents that are sent to one route (`"cloudevents": "POST /path"`).
///
/// Events come in binary or in structured mode; the handler need not know in which. Batches are answered 415, what is no
/// valid event 400 with every problem.
///
/// ```swift
/// import FunctionKit
///
/// struct Receipts: CloudEventFunction {
///     struct Order: Codable { let number: Int }
///
///     func handle(_ event: CloudEvent, _ request: Request, _ context: Context) async throws -> CloudEvent? {
///         let order = try event.decode(Order.self)
///         return try CloudEvent(id: "receipt-\(order.number)", source: "/shop", type: "shop.receipt", json: order)
///     }
/// }
/// ```
public protocol CloudEventFunction: Sendable {
    /// Makes the handler. Called once, when the module is loaded; it must not do work.
    init()

    /// Handles one event. A sender that gets no answer sends it again, so the same event may come more than once.
    ///
    /// - Parameters:
    ///   - event: The event; its data is at most the manifest's `maxBody` bytes long.
    ///   - request: The request that brought it, for parameters and headers.
    ///   - context: What the host lends for this invocation; not valid after the call returns.
    /// - Returns: An event, which is the answer, 200, in the mode of the request; or `nil`, which answers 204.
    /// - Throws: As in ``HTTPFunction/handle(_:_:)``. An event that is not valid is answered 500, its problems are logged.
    /// - Cancellation: as in ``HTTPFunction/handle(_:_:)``.
    func handle(_ event: CloudEvent, _ request: Request, _ context: Context) async throws -> CloudEvent?
}
