/// Collects the attributes of an event that is being read, with all that is wrong with them.
struct CloudEventReader {
    /// What stands before attributes' names where they are told to the sender.
    let prefix: String
    private var values: [String: CloudEventValue] = [:]
    private var problems: [HTTPError.Detail] = []
    private var named: Set<String> = []

    init(prefix: String) { self.prefix = prefix }

    /// Takes one attribute.
    mutating func take(_ name: String, _ value: CloudEventValue) {
        guard named.insert(name).inserted else { return report(name, "is given twice") }
        if let problem = CloudEvent.problem(name, value) { return report(name, problem) }
        values[name] = value
    }

    /// Notes what is wrong with an attribute; it then counts as given.
    mutating func report(_ name: String, _ problem: String) {
        named.insert(name)
        problems.append(HTTPError.Detail(field: prefix + name, problem: problem))
    }

    /// Makes the event.
    ///
    /// - Throws: ``HTTPError`` 400 with every problem.
    mutating func event(
        dataContentType: String?, data: ByteBuffer?, form: CloudEvent.DataForm?
    ) throws(HTTPError) -> CloudEvent {
        for name in CloudEvent.requiredNames where !named.contains(name) { report(name, "is required") }
        guard problems.isEmpty, let id = text("id"), let source = text("source"), let type = text("type") else {
            throw .validation(problems)
        }
        var event = CloudEvent(
            id: id, source: source, type: type, subject: text("subject"), time: text("time"),
            dataContentType: dataContentType, dataSchema: text("dataschema"),
            extensions: values.filter { !CloudEvent.attributeNames.contains($0.key) }, data: data)
        event.dataForm = form
        return event
    }

    /// An attribute of the specification that was taken.
    func text(_ name: String) -> String? { values[name]?.description }
}
