// What the specification says of attributes' names and values (sections "Attributes" and "Type System").
extension CloudEvent {
    /// The attributes of the specification that are not extensions.
    static let attributeNames: Set<String> = [
        "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema",
    ]
    /// Those without which there is no event.
    static let requiredNames = ["specversion", "id", "source", "type"]

    /// Whether an attribute may be called that.
    static func isName(_ name: String) -> Bool {
        !name.isEmpty && name != "data"
            && name.utf8.allSatisfy {
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
            }
    }

    /// All attributes that the event has, the specification's first, then the extensions by name.
    var attributes: [(name: String, value: CloudEventValue)] {
        let texts = [
            ("specversion", specVersion), ("id", id), ("source", source), ("type", type), ("subject", subject),
            ("time", time), ("datacontenttype", dataContentType), ("dataschema", dataSchema),
        ]
        return texts.compactMap { name, text in text.map { (name, .string($0)) } }
            + extensions.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// What is wrong with an attribute, or `nil`.
    static func problem(_ name: String, _ value: CloudEventValue) -> String? {
        guard isName(name) else { return "is no name of an attribute; these are of a-z and 0-9" }
        guard case .string(let text) = value else {
            return attributeNames.contains(name) ? "must be a string" : nil
        }
        if text.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }) {
            return "must not hold control characters"
        }
        guard attributeNames.contains(name) else { return nil }
        guard !text.isEmpty else { return "must not be empty" }
        switch name {
        case "specversion": return text == "1.0" ? nil : "must be 1.0"
        case "source": return isReference(text) ? nil : "must be a URI reference"
        case "dataschema": return isReference(text) && hasScheme(text) ? nil : "must be a URI with a scheme"
        case "time": return Timestamp(rfc3339: text) != nil ? nil : "must be a time as RFC 3339 writes it"
        case "datacontenttype": return MediaType.isValid(text) ? nil : "must be a media type"
        default: return nil
        }
    }

    /// Refuses an event that a handler has made and that nobody could read.
    ///
    /// - Throws: ``Permanent`` with every problem.
    func check() throws {
        var problems = attributes.compactMap { name, value in
            CloudEvent.problem(name, value).map { "\(name) \($0)" }
        }
        for name in extensions.keys.sorted() where CloudEvent.attributeNames.contains(name) {
            problems.append("\(name) cannot be an extension")
        }
        guard problems.isEmpty else {
            let reasons = problems.joined(separator: "; ")
            throw Permanent("The function's answer is no valid event: \(reasons)", class: .validation)
        }
    }

    /// Whether no character stands where RFC 3986 allows none; characters beyond ASCII are let pass, as in RFC 3987.
    private static func isReference(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { scalar in
            scalar.value > 0x20 && !scalar.properties.isWhitespace && !"<>\"{}|\\^`".unicodeScalars.contains(scalar)
        }
    }

    private static func hasScheme(_ text: String) -> Bool {
        guard let colon = text.firstIndex(of: ":") else { return false }
        let scheme = text[..<colon]
        return scheme.first?.isLetter == true
            && scheme.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+-.".contains($0)) }
    }
}
