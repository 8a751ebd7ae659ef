internal import FunctionKit
internal import NIOCore

extension PositionedJSON {
    /// The value as JSON text, numbers as they were written.
    ///
    /// - Parameter isPretty: Whether each member and element has a line of its own, indented by two spaces a level.
    /// - Returns: The text.
    public func text(isPretty: Bool = false) -> String {
        var text = ""
        write(to: &text, indent: isPretty ? "\n" : nil)
        return text
    }

    private func write(to text: inout String, indent: String?) {
        let inner = indent.map { $0 + "  " }
        switch value {
        case .null: text += "null"
        case .bool(let flag): text += flag ? "true" : "false"
        case .number(let number): text += number
        case .string(let string): text += PositionedJSON.quoted(string)
        case .array(let elements):
            text += "["
            for (index, element) in elements.enumerated() {
                text += (index == 0 ? "" : ",") + (inner ?? "")
                element.write(to: &text, indent: inner)
            }
            text += (elements.isEmpty ? "" : indent ?? "") + "]"
        case .object(let members):
            text += "{"
            for (index, member) in members.enumerated() {
                text += (index == 0 ? "" : ",") + (inner ?? "") + PositionedJSON.quoted(member.key)
                text += indent == nil ? ":" : ": "
                member.value.write(to: &text, indent: inner)
            }
            text += (members.isEmpty ? "" : indent ?? "") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var json = JSONWriter(capacity: text.utf8.count + 2)
        json.value(text)
        return String(buffer: json.buffer)
    }
}
