/// A handler for one HTTP route, in its raw form: it sees the whole request and makes the whole response.
///
/// The type is a value without state. The host makes one with ``init()`` when it loads the module and calls
/// ``handle(_:_:)`` once a request, many at a time. What a handler needs comes in the ``Context``.
///
/// ```swift
/// import FunctionKit
///
/// struct Hello: HTTPFunction {
///     func handle(_ request: Request, _ context: Context) async throws -> Response {
///         .text("Hello, \(request.parameter("name") ?? "world")!")
///     }
/// }
/// ```
public protocol HTTPFunction: Sendable {
    /// Makes the handler. Called once, when the module is loaded; it must not do work.
    init()

    /// Answers one request.
    ///
    /// - Parameters:
    ///   - request: The request with its whole body, at most the manifest's `maxBody` bytes long.
    ///   - context: What the host lends for this invocation; not valid after the call returns.
    /// - Returns: The response. For `HEAD` the host sends its head and drops the body.
    /// - Throws: ``HTTPError`` to answer with that status; any ``ClassifiedError`` that says its store is away becomes
    ///   503; anything else becomes 500, with the detail in the log only.
    /// - Cancellation: the task is cancelled when the client goes away, when the manifest's `timeout` has passed (the
    ///   client then gets 504) and when the host's grace time ends.
    func handle(_ request: Request, _ context: Context) async throws -> Response
}

/// A handler for one HTTP route, in its typed form: JSON in, JSON out.
///
/// The input is decoded from the request's JSON body; a body that is not JSON is answered 400, another content type
/// 415, and a value of the wrong shape 400 with the field and the problem.
public protocol TypedHTTPFunction: Sendable {
    /// What the JSON body decodes to.
    associatedtype Input: Decodable & Sendable
    /// What the answer's JSON body is encoded from.
    associatedtype Output: Encodable & Sendable

    /// Makes the handler. Called once, when the module is loaded; it must not do work.
    init()

    /// Answers one request with status 200 and the JSON form of what it returns.
    ///
    /// - Parameters:
    ///   - input: The decoded body.
    ///   - request: The request itself, for parameters and headers.
    ///   - context: What the host lends for this invocation; not valid after the call returns.
    /// - Returns: The value to encode.
    /// - Throws: As in ``HTTPFunction/handle(_:_:)``.
    /// - Cancellation: as in ``HTTPFunction/handle(_:_:)``.
    func handle(_ input: Input, _ request: Request, _ context: Context) async throws -> Output
}
