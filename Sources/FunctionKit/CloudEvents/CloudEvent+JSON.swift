internal import FoundationEssentials

// The JSON event format 1.0.2. The data's text is kept as it was sent, so numbers and the order of members survive.
extension CloudEvent {
    /// Reads a structured event.
    ///
    /// - Throws: ``HTTPError`` 400: `malformed_json`, or `validation_failed` with every problem.
    static func structured(_ body: ByteBuffer) throws(HTTPError) -> CloudEvent {
        let bytes = Array(body.readableBytesView)
        let members: [JSONScanner.Member]
        switch JSONScanner.members(of: bytes) {
        case .members(let found): members = found
        case .otherValue: throw .validation([.init(field: "", problem: "must be an object")])
        case .malformed:
            throw HTTPError(.badRequest, code: "malformed_json", message: "The body is not valid JSON.")
        }
        var reader = CloudEventReader(prefix: "")
        for member in members where member.kind != .null && !isData(member.name) {
            switch member.kind {
            case .string(let text): reader.take(member.name, .string(text))
            case .boolean(let flag): reader.take(member.name, .boolean(flag))
            case .number:
                if let number = Int32(String(decoding: bytes[member.range], as: UTF8.self)) {
                    reader.take(member.name, .integer(number))
                } else {
                    reader.report(member.name, "must be a string, a boolean or an integer of 32 bits")
                }
            case .null, .object, .array:
                reader.report(member.name, "must be a string, a boolean or an integer of 32 bits")
            }
        }
        let contentType = reader.text("datacontenttype")
        let given = members.filter { isData($0.name) && $0.kind != .null }
        guard let member = given.first else {
            return try reader.event(dataContentType: contentType, data: nil, form: nil)
        }
        if given.count > 1 { reader.report("data", "is given twice, as data or data_base64") }
        let (data, form) = data(member, bytes, contentType, &reader)
        return try reader.event(dataContentType: contentType, data: data, form: form)
    }

    /// The structured form.
    func structuredBody() -> ByteBuffer {
        var json = JSONWriter(capacity: 512 + (data?.readableBytes ?? 0) * 4 / 3)
        json.object { json in
            for (name, value) in attributes {
                json.key(escaping: name)
                switch value {
                case .string(let text): json.value(text)
                case .integer(let number): json.value(Int(number))
                case .boolean(let flag): json.value(flag)
                }
            }
            guard let data else { return }
            let bytes = Array(data.readableBytesView)
            switch (dataForm ?? form(of: bytes), String(validating: bytes, as: UTF8.self)) {
            case (.json, let text?):
                json.key("data")
                json.raw(text)
            case (.text, let text?):
                json.key("data")
                json.value(text)
            default:
                json.key("data_base64")
                json.value(Data(bytes).base64EncodedString())
            }
        }
        return json.buffer
    }

    private static func isData(_ name: String) -> Bool { name == "data" || name == "data_base64" }

    private static func data(
        _ member: JSONScanner.Member, _ bytes: [UInt8], _ contentType: String?, _ reader: inout CloudEventReader
    ) -> (ByteBuffer?, DataForm?) {
        if member.name == "data_base64" {
            guard case .string(let text) = member.kind, let decoded = Data(base64Encoded: text) else {
                reader.report("data_base64", "must be a string of base64")
                return (nil, nil)
            }
            return (ByteBuffer(bytes: decoded), .base64)
        }
        let isJSON = CloudEvent(id: "", source: "", type: "", dataContentType: contentType).hasJSONData
        if !isJSON, case .string(let text) = member.kind { return (ByteBuffer(string: text), .text) }
        return (ByteBuffer(bytes: bytes[member.range]), .json)
    }

    /// How data of a handler is carried: JSON and texts readable, all else as base64.
    private func form(of bytes: [UInt8]) -> DataForm {
        if hasJSONData { return JSONScanner.isValid(bytes) ? .json : .base64 }
        let media = MediaType(dataContentType ?? "")
        let isText = media.name.hasPrefix("text/") || media.name.hasSuffix("/xml") || media.name.hasSuffix("+xml")
        return isText && media.charset.map { $0 == "utf-8" } ?? true ? .text : .base64
    }
}
