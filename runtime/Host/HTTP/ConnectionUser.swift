internal import FunctionKit
internal import NIOCore

/// What uses a connection in place of requests and answers: a socket after its upgrade, an event stream until its end.
///
/// It is made for a request before the request's handler is called, and gets the connection by ``HTTPConnection/lend(to:)``
/// when the handler wants it; until then the request is one like any other. From then on it alone writes, and it ends
/// its use by exactly one of ``HTTPConnection/takeBack()``, ``HTTPConnection/endUse(_:)`` and
/// ``HTTPConnection/close()``. Everything here is called on the connection's loop.
protocol ConnectionUser: AnyObject {
    /// The request that led here.
    var exchange: Exchange { get }

    /// Whether more input is wanted. When this turns true, ``HTTPConnection/releaseRead()`` must be called.
    var wantsInput: Bool { get }

    /// Takes input, as much of it as it can; what it leaves is offered again, in front of what comes next.
    ///
    /// More than what was asked for may come when the client closes its side.
    func received(_ bytes: inout ByteBuffer)

    /// The channel has got full, or takes more again. May be called within a write of the user's own.
    func writabilityChanged(to isWritable: Bool)

    /// The client has closed its side: nothing more comes in.
    func inputClosed()

    /// The time that was set by ``HTTPConnection/setDeadline(_:)`` has come; it is then unset.
    func deadlinePassed(_ now: NIODeadline)

    /// The process is about to end: the client is to come back elsewhere.
    func drain()

    /// The connection is closed, whoever closed it. May be called within a write of the user's own.
    func connectionClosed()

    /// The handler has returned or thrown; also called when the connection was never lent, or is closed by now.
    func handlerEnded(_ result: Result<Void, any Error>)
}
