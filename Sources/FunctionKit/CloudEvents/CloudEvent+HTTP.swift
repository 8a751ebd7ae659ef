/// How an HTTP message carries an event (HTTP protocol binding 1.0.2, section 3).
enum CloudEventMode: Sendable {
    /// Attributes in the fields `ce-…`, data as the body.
    case binary
    /// All in a JSON body.
    case structured

    /// The mode of a request, by its content type.
    ///
    /// - Throws: ``HTTPError`` 415 for batches, for formats other than JSON, and for other charsets than UTF-8.
    init(_ request: Request) throws(HTTPError) {
        let media = request.headers[.contentType].map { MediaType($0) }
        guard let media, media.name.hasPrefix("application/cloudevents") else {
            self = .binary
            return
        }
        if media.name.hasPrefix("application/cloudevents-batch") {
            throw HTTPError(.unsupportedMediaType, message: "Batches are not taken; send each event by itself.")
        }
        guard media.name == "application/cloudevents+json", media.charset.map({ $0 == "utf-8" }) ?? true else {
            throw HTTPError(
                .unsupportedMediaType, message: "Structured events must be application/cloudevents+json in UTF-8.")
        }
        self = .structured
    }
}

extension CloudEvent {
    /// Reads the event of a request.
    ///
    /// - Throws: ``HTTPError``: 415 as ``CloudEventMode/init(_:)``, 400 `malformed_json`, or 400 `validation_failed` with
    ///   every problem.
    static func read(_ request: Request, _ mode: CloudEventMode) throws(HTTPError) -> CloudEvent {
        switch mode {
        case .binary: try binary(request)
        case .structured: try structured(request.body)
        }
    }

    /// The answer that carries the event.
    ///
    /// - Throws: ``Permanent`` when the event is not valid.
    func response(_ mode: CloudEventMode) throws -> Response {
        try check()
        switch mode {
        case .binary: return binaryResponse()
        case .structured:
            return Response(
                headers: [.contentType: "application/cloudevents+json; charset=UTF-8"], body: structuredBody())
        }
    }

    private static func binary(_ request: Request) throws(HTTPError) -> CloudEvent {
        var reader = CloudEventReader(prefix: "ce-")
        for field in request.headers where field.name.canonicalName.hasPrefix("ce-") {
            let name = String(field.name.canonicalName.dropFirst(3))
            if name == "datacontenttype" {
                reader.report(name, "must be given as content-type")
            } else if let text = headerText(field.value) {
                reader.take(name, .string(text))
            } else {
                reader.report(name, "holds a wrong percent escape or an open quote")
            }
        }
        let contentType = request.headers[.contentType]
        if let contentType, let problem = problem("datacontenttype", .string(contentType)) {
            reader.report("datacontenttype", problem)
        }
        let data = request.body.readableBytes > 0 ? request.body : nil
        return try reader.event(dataContentType: contentType, data: data, form: nil)
    }

    private func binaryResponse() -> Response {
        var headers = HTTPFields()
        for (name, value) in attributes {
            if name == "datacontenttype" {
                headers[.contentType] = value.description
            } else if let field = HTTPField.Name("ce-\(name)") {
                headers[field] = CloudEvent.headerValue(value.description)
            }
        }
        return Response(headers: headers, body: data ?? ByteBuffer())
    }

    /// The text of a field's value (section 3.1.3.2): quotes are taken off, then percent escapes, once.
    private static func headerText(_ value: String) -> String? {
        guard value.contains("\"") else { return PercentEncoding.decode(value) }
        var text = ""
        var isQuoted = false
        var isEscaped = false
        for scalar in value.unicodeScalars {
            if isEscaped {
                text.unicodeScalars.append(scalar)
                isEscaped = false
            } else if scalar == "\"" {
                isQuoted.toggle()
            } else if isQuoted, scalar == "\\" {
                isEscaped = true
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
        return isQuoted ? nil : PercentEncoding.decode(text)
    }

    /// A field's value (section 3.1.3.2): the space, `"`, `%` and whatever is not printable ASCII are escaped.
    private static func headerValue(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            if (0x21...0x7E).contains(byte), byte != UInt8(ascii: "\""), byte != UInt8(ascii: "%") {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
