import Host

/// The table of what is served.
enum DevTable {
    /// The lines of the table.
    ///
    /// - Parameters:
    ///   - plan: What is served.
    ///   - base: Where, as a URL; `nil` when routes are to stay paths.
    ///   - terminal: Where it is printed: links only where a person can follow them.
    /// - Returns: The lines.
    static func lines(_ plan: ReloadPlan, base: String?, terminal: Terminal) -> [String] {
        let failed = Set(plan.problems.map(\.function))
        var rows = plan.items.map(\.function).map { function in
            let state = !failed.contains(function.name) ? "" : plan.good[function.name] == nil ? "failed" : "last good"
            return Row(name: function.name, manifest: function.manifest, state: state)
        }
        rows += failed.subtracting(rows.map(\.name)).sorted().map { Row(name: $0, manifest: nil, state: "failed") }
        let names = rows.map(\.name.count).max() ?? 0
        let kinds = rows.map(\.kind.count).max() ?? 0
        return rows.map { row in
            func padded(_ text: String, _ width: Int) -> String {
                text + String(repeating: " ", count: max(0, width - text.count))
            }
            let target = row.target(base: base, terminal: terminal)
            let state = row.state.isEmpty ? "" : "  " + terminal.coloured("(\(row.state))", .red)
            return "  \(padded(row.name, names))  \(padded(row.kind, kinds))  \(target)\(state)"
        }
    }

    private struct Row {
        let name: String
        let manifest: FunctionManifest?
        let state: String

        var kind: String {
            switch manifest?.trigger {
            case .http(let method, _), .cloudEvents(let method, _): method
            case .sse: "sse"
            case .webSocket: "websocket"
            case .queue: "queue"
            case .schedule: "schedule"
            case nil: "-"
            }
        }

        func target(base: String?, terminal: Terminal) -> String {
            switch manifest?.trigger {
            case .http("GET", let path), .sse(let path): return url(path, base, isOpened: true, terminal)
            case .http(_, let path), .cloudEvents(_, let path), .webSocket(let path):
                return url(path, base, isOpened: false, terminal)
            case .queue(let queue, let moment): return "\(queue), \(moment.rawValue)"
            case .schedule(let pattern, let zone): return "\(pattern) (\(zone))"
            case nil: return "-"
            }
        }

        private func url(_ path: String, _ base: String?, isOpened: Bool, _ terminal: Terminal) -> String {
            guard let base else { return path }
            let url = base + path
            return isOpened && !path.contains("/:") ? terminal.link(url) : url
        }
    }
}
