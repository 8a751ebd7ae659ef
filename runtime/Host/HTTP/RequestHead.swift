internal import FunctionKit

/// The head of a request, checked.
struct RequestHead {
    enum Framing: Equatable {
        case none
        case length(Int)
        case chunked
    }

    var method = HTTPRequest.Method.get
    /// As sent, without the query; `*` for the asterisk form.
    var path = ""
    var query = ""
    var fields = HTTPFields()
    var isHTTP11 = true
    var keepsAlive = true
    var framing = Framing.none
    var expectsContinue = false
    /// The caller's `x-request-id` where it is 1 to 128 visible ASCII characters.
    var requestID: String?
    /// Where in `fields` these are.
    var originIndex: Int?
    var traceParentIndex: Int?

    /// Stands in for a head that could not be read.
    static var unread: RequestHead {
        var head = RequestHead()
        head.path = "-"
        head.keepsAlive = false
        return head
    }

    var origin: String? { originIndex.map { fields[$0].value } }
    var traceParent: String? { traceParentIndex.map { fields[$0].value } }
}
