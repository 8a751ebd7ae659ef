/// A statement that a connection prepares the first time it is used.
struct PostgreSQLStatement: Sendable {
    /// Its name on the server, unique in this program.
    let name: String
    let sql: String
}

extension PostgreSQLStatement {
    /// A parameter in milliseconds since 1970 as a time.
    static func time(_ parameter: String) -> String {
        "(timestamptz 'epoch' + \(parameter)::bigint * interval '1 millisecond')"
    }

    /// A column of times in milliseconds since 1970.
    static func milliseconds(_ column: String) -> String {
        "floor(extract(epoch FROM \(column)) * 1000)::bigint"
    }
}

/// Values as the text of one array parameter.
enum PostgreSQLArray {
    /// An array of texts; everything is quoted, so nothing in it has a meaning.
    ///
    /// - Source: PostgreSQL documentation, 8.15.6 "Array Input and Output Syntax".
    static func text(_ values: some Sequence<String?>) -> String {
        var result = "{"
        for value in values {
            if result.utf8.count > 1 { result += "," }
            guard let value else {
                result += "NULL"
                continue
            }
            result += "\""
            for scalar in value.unicodeScalars {
                if scalar == "\"" || scalar == "\\" { result += "\\" }
                result.unicodeScalars.append(scalar)
            }
            result += "\""
        }
        return result + "}"
    }

    /// An array of integers.
    static func text(_ values: some Sequence<Int64?>) -> String {
        "{\(values.map { $0.map(String.init) ?? "NULL" }.joined(separator: ","))}"
    }
}
