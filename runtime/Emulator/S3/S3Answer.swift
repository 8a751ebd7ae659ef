internal import NIOHTTP1

/// What is sent for a request.
struct S3Answer: Sendable {
    enum Body: Sendable {
        case empty
        /// A whole XML document.
        case text(String)
        /// Bytes of a file, half open.
        case file(OpenFile, Range<Int64>)
        /// XML without its declaration from work that may take long. When it does, the head is sent before the outcome is
        /// known, white space follows so that no client gives up, and a failure comes as an `Error` element, as in S3.
        case slow(@Sendable () async throws -> String)
    }

    var status: HTTPResponseStatus
    var headers: HTTPHeaders
    var body: Body

    init(_ status: HTTPResponseStatus = .ok, headers: HTTPHeaders = [:], body: Body = .empty) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// An XML document in S3's namespace.
    static func xml(_ name: String, _ content: (inout XMLText) -> Void) -> S3Answer {
        S3Answer(body: .text(XMLText.declaration + XMLText.document(name, content)))
    }

    /// A failure.
    static func fault(_ fault: S3Fault, resource: String, id: String) -> S3Answer {
        var answer = S3Answer(HTTPResponseStatus(statusCode: fault.status))
        for field in fault.fields { answer.headers.replaceOrAdd(name: field.name, value: field.value) }
        answer.body = .text(XMLText.declaration + errorElement(fault, resource: resource, id: id))
        return answer
    }

    /// The `Error` element, which has no namespace.
    static func errorElement(_ fault: S3Fault, resource: String, id: String) -> String {
        var xml = XMLText()
        xml.element("Error") { xml in
            xml.element("Code", fault.code)
            xml.element("Message", fault.message)
            xml.element("Resource", resource)
            xml.element("RequestId", id)
        }
        return xml.text
    }
}
