internal import FunctionKit
internal import NIOCore

/// How an answer tells that it waited for the start of a process (Server Timing, W3C).
enum ColdStart {
    private static let field = HTTPField.Name(known: "server-timing")
    private static let metric = "cold;dur="

    /// Adds the wait, in milliseconds, in front of what the function tells itself.
    static func add(_ wait: TimeAmount, to headers: inout HTTPFields) {
        let tenths = max(0, wait.nanoseconds / 100_000)
        let own = headers[field].map { ", \($0)" } ?? ""
        headers[field] = "\(metric)\(tenths / 10).\(tenths % 10)\(own)"
    }

    /// The wait that an answer tells of, in milliseconds.
    static func milliseconds(in headers: HTTPFields) -> String? {
        guard let value = headers[field], value.hasPrefix(metric) else { return nil }
        return String(value.dropFirst(metric.count).prefix { $0 != "," && $0 != ";" })
    }
}
