internal import CPostgreSQL
internal import FunctionKit

/// The rows of an answer; it owns libpq's memory.
final class PostgreSQLRows {
    private let pq: FerryPQFunctions
    private let result: OpaquePointer
    let count: Int

    init(owning result: OpaquePointer, _ library: PostgreSQLLibrary) {
        pq = library.functions
        self.result = result
        count = Int(library.functions.rowCount(result))
    }

    deinit { pq.clear(result) }

    /// A column's value as text, or `nil` for NULL.
    func text(_ row: Int, _ column: Int) -> String? {
        let (row, column) = (Int32(row), Int32(column))
        guard pq.isNull(result, row, column) == 0, let bytes = pq.value(result, row, column) else { return nil }
        let count = Int(pq.length(result, row, column))
        return bytes.withMemoryRebound(to: UInt8.self, capacity: count) {
            String(decoding: UnsafeBufferPointer(start: $0, count: count), as: UTF8.self)
        }
    }

    /// Each row, whose columns are read one after the other.
    func map<Value>(_ body: (inout PostgreSQLRow) throws -> Value) rethrows -> [Value] {
        try (0..<count).map { number in
            var row = PostgreSQLRow(rows: self, number: number)
            return try body(&row)
        }
    }
}

/// A row of an answer. Its columns are read in the order of the statement.
///
/// What a row cannot hold is an error, never a crash: the database is data from outside.
struct PostgreSQLRow {
    private let rows: PostgreSQLRows
    private let number: Int
    private var column = 0

    init(rows: PostgreSQLRows, number: Int) {
        self.rows = rows
        self.number = number
    }

    mutating func optional<Value: LosslessStringConvertible>(_ type: Value.Type = Value.self) throws -> Value? {
        defer { column += 1 }
        guard let text = rows.text(number, column) else { return nil }
        guard let value = Value(text) else {
            throw HistoryError(.corrupt, "column \(column) of an answer holds a value of another kind")
        }
        return value
    }

    mutating func required<Value: LosslessStringConvertible>(_ type: Value.Type = Value.self) throws -> Value {
        guard let value = try optional(Value.self) else {
            throw HistoryError(.corrupt, "column \(column - 1) of an answer is NULL")
        }
        return value
    }

    mutating func optionalTime() throws -> Timestamp? {
        try optional(Int64.self).map(Timestamp.init(milliseconds:))
    }

    mutating func requiredTime() throws -> Timestamp { Timestamp(milliseconds: try required()) }

    /// An array of integers such as `{1,2}`.
    mutating func integers() throws -> [Int64] {
        let text = try required(String.self)
        return try text.dropFirst().dropLast().split(separator: ",").map { text in
            guard let number = Int64(text) else {
                throw HistoryError(.corrupt, "column \(column - 1) of an answer is no list of integers")
            }
            return number
        }
    }
}
