/// An event in the form of CloudEvents 1.0.
///
/// The attributes are kept as they were sent, so that an event that is passed on is the same event. Of events that reach
/// a handler they are valid; those of an answer are checked before it is sent.
///
/// - Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
public struct CloudEvent: Sendable {
    /// How structured mode carries the data.
    enum DataForm: Sendable {
        /// The JSON value that the bytes are.
        case json
        /// A JSON string of the bytes, which are UTF-8.
        case text
        /// Base64.
        case base64
    }

    /// Tells the event from others of the same ``source``; not empty.
    public var id: String
    /// The context in which the event happened, a URI reference; not empty.
    public var source: String
    /// The kind of the event, such as `com.example.object.deleted`; not empty.
    public var type: String
    /// What in the context of the source the event is about; not empty where it is given.
    public var subject: String?
    /// When it happened, as RFC 3339 text; see ``timestamp``.
    public var time: String?
    /// The media type of ``data``; JSON where there is none.
    public var dataContentType: String? { didSet { dataForm = nil } }
    /// The schema of ``data``, an absolute URI.
    public var dataSchema: String?
    /// Further attributes; names are of `a-z` and `0-9`.
    public var extensions: [String: CloudEventValue]
    /// The data's bytes, or `nil` when there is none. An empty body in binary mode is no data.
    public var data: ByteBuffer? { didSet { dataForm = nil } }
    /// The form in which ``data`` came; `nil` leaves it to the content type.
    var dataForm: DataForm?

    /// The version of the specification: `1.0`.
    public var specVersion: String { "1.0" }

    /// The time when it happened, or `nil` when it is not given. Parts of a millisecond are dropped.
    public var timestamp: Timestamp? { time.flatMap { Timestamp(rfc3339: $0) } }

    /// Makes an event with any data.
    public init(
        id: String, source: String, type: String, subject: String? = nil, time: String? = nil,
        dataContentType: String? = nil, dataSchema: String? = nil, extensions: [String: CloudEventValue] = [:],
        data: ByteBuffer? = nil
    ) {
        self.id = id
        self.source = source
        self.type = type
        self.subject = subject
        self.time = time
        self.dataContentType = dataContentType
        self.dataSchema = dataSchema
        self.extensions = extensions
        self.data = data
    }

    /// Makes an event with JSON data, of content type `application/json`, that happens now.
    ///
    /// - Throws: `EncodingError` when the value cannot be encoded.
    public init(id: String, source: String, type: String, json value: some Encodable) throws {
        self.init(
            id: id, source: source, type: type, time: Timestamp.now.rfc3339, dataContentType: "application/json",
            data: try JSON.encode(value))
    }

    /// Decodes ``data`` as JSON.
    ///
    /// - Throws: ``HTTPError``: 415 when ``dataContentType`` is given and is not JSON, 400 `validation_failed` when there
    ///   is no data or a value has the wrong type, 400 `malformed_json` when the data is not JSON.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        guard let data else { throw HTTPError.validation([.init(field: "data", problem: "is required")]) }
        guard hasJSONData else {
            throw HTTPError(.unsupportedMediaType, message: "The event's data must be application/json.")
        }
        return try JSON.decode(type, from: data)
    }

    /// Whether the content type says that the data is JSON.
    var hasJSONData: Bool {
        guard let dataContentType else { return true }
        let media = MediaType(dataContentType)
        return media.name.hasSuffix("/json") || media.name.hasSuffix("+json")
    }
}
