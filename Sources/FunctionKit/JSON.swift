internal import FoundationEssentials

/// JSON to and from `Codable` values, with errors that can be shown to a caller.
public enum JSON {
    /// Decodes a buffer's readable bytes.
    ///
    /// - Throws: ``HTTPError`` 400: `malformed_json`, or `validation_failed` with the path of the value that did not fit.
    public static func decode<Value: Decodable>(_ type: Value.Type, from buffer: ByteBuffer) throws -> Value {
        try decode(type, from: Data(buffer.readableBytesView))
    }

    /// Decodes a text.
    ///
    /// - Throws: As ``decode(_:from:)-(_,ByteBuffer)``.
    public static func decode<Value: Decodable>(_ type: Value.Type, from text: String) throws -> Value {
        try decode(type, from: Data(text.utf8))
    }

    /// Encodes a value; keys are in the order of their names, so that equal values give equal bytes.
    ///
    /// - Throws: `EncodingError` when the value cannot be encoded.
    public static func encode(_ value: some Encodable) throws -> ByteBuffer {
        ByteBuffer(bytes: try encoder().encode(value))
    }

    /// Encodes a value as text; as ``encode(_:)``.
    public static func text(_ value: some Encodable) throws -> String {
        String(decoding: try encoder().encode(value), as: UTF8.self)
    }

    private static func encoder() -> JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, from data: Data) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch let error as DecodingError {
            throw HTTPError(decoding: error)
        }
    }
}

extension HTTPError {
    /// The answer to a body that does not decode: which field, and what is wrong with it.
    init(decoding error: DecodingError) {
        func field(_ path: [any CodingKey]) -> String {
            path.reduce(into: "") { text, key in
                if let index = key.intValue {
                    text += "[\(index)]"
                } else {
                    text += text.isEmpty ? key.stringValue : ".\(key.stringValue)"
                }
            }
        }
        switch error {
        case .typeMismatch(let type, let context):
            let problem = "must be \(HTTPError.describe(type))"
            self = .validation([Detail(field: field(context.codingPath), problem: problem)])
        case .valueNotFound(_, let context):
            self = .validation([Detail(field: field(context.codingPath), problem: "must not be null")])
        case .keyNotFound(let key, let context):
            self = .validation([Detail(field: field(context.codingPath + [key]), problem: "is required")])
        case .dataCorrupted(let context) where !context.codingPath.isEmpty:
            self = .validation([Detail(field: field(context.codingPath), problem: "is not a valid value")])
        default:
            self = HTTPError(.badRequest, code: "malformed_json", message: "The body is not valid JSON.")
        }
    }

    private static func describe(_ type: any Any.Type) -> String {
        switch type {
        case is any BinaryInteger.Type: "an integer"
        case is any BinaryFloatingPoint.Type: "a number"
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        default:
            "\(type)".hasPrefix("Array") ? "an array" : "an object"
        }
    }
}
