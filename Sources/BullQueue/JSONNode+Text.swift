internal import FunctionKit

extension JSONNode {
    /// The value as JSON text, members in the order of their names. Numbers beyond 2^53 come out rounded.
    var text: String {
        var writer = JSONWriter()
        write(into: &writer)
        return String(buffer: writer.buffer)
    }

    func write(into writer: inout JSONWriter) {
        switch self {
        case .null: writer.raw("null")
        case .bool(let flag): writer.value(flag)
        case .number(let number): writer.value(number)
        case .string(let text): writer.value(text)
        case .array(let elements):
            writer.array { writer in
                for element in elements { element.write(into: &writer) }
            }
        case .object(let members):
            writer.object { writer in
                for (key, value) in members.sorted(by: { $0.key < $1.key }) {
                    writer.key(escaping: key)
                    value.write(into: &writer)
                }
            }
        }
    }
}
