extension PositionedJSON {
    /// A value that is made, not read: it has no place.
    init(_ value: Value) { self.init(position: Position(line: 1, column: 1), value: value) }

    /// An object; members without a value are left out.
    init(object members: [(String, Value?)]) {
        let position = Position(line: 1, column: 1)
        self.init(
            .object(
                members.compactMap { key, value in
                    value.map { Member(key: key, keyPosition: position, value: PositionedJSON($0)) }
                }))
    }

    /// A whole number.
    static func number(_ number: Int) -> Value { .number("\(number)") }
}
