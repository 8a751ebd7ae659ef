internal import FunctionKit

/// JSON that is put together by code; members keep their order.
indirect enum DocumentValue: Sendable {
    case text(String)
    case number(Int)
    case flag(Bool)
    case array([DocumentValue])
    case object([(String, DocumentValue)])
    /// Of a file.
    case json(PositionedJSON)

    /// An object that may lack members.
    static func members(_ members: (String, DocumentValue?)...) -> DocumentValue {
        .object(members.compactMap { name, value in value.map { (name, $0) } })
    }

    /// `{"$ref": "#/components/…"}`.
    static func reference(_ path: String) -> DocumentValue { ["$ref": .text("#/components/\(path)")] }

    /// Names in an array.
    static func names(_ names: [String]) -> DocumentValue { .array(names.map { .text($0) }) }

    func write(to writer: inout JSONWriter) {
        switch self {
        case .text(let text): writer.value(text)
        case .number(let number): writer.value(number)
        case .flag(let flag): writer.value(flag)
        case .array(let elements):
            writer.array { writer in
                for element in elements { element.write(to: &writer) }
            }
        case .object(let members):
            writer.object { writer in
                for (name, value) in members {
                    writer.key(escaping: name)
                    value.write(to: &writer)
                }
            }
        case .json(let json): writer.raw(json.text())
        }
    }
}

extension DocumentValue: ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    init(stringLiteral value: String) { self = .text(value) }
    init(integerLiteral value: Int) { self = .number(value) }
    init(booleanLiteral value: Bool) { self = .flag(value) }
    init(arrayLiteral elements: DocumentValue...) { self = .array(elements) }
    init(dictionaryLiteral elements: (String, DocumentValue)...) { self = .object(elements) }
}
