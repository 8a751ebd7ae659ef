import Host
import Logging
import NIOCore

extension InvocationReport {
    /// One line for people: id, function, what was asked, how it ended, times, cold or warm.
    func line(on terminal: Terminal) -> String {
        var parts = [Terminal.plain(requestID, limit: 80), function ?? "-"]
        if let request { parts.append(Terminal.plain(request, limit: 200)) }
        parts.append(terminal.coloured(outcomeText, outcomeColour))
        if attempt > 1 { parts.append("attempt \(attempt)") }
        if let isCold {
            parts.append("wait \(InvocationReport.text(waited)) run \(InvocationReport.text(ran))")
            parts.append(isCold ? terminal.coloured("cold", .yellow) : "warm")
        }
        return parts.joined(separator: "  ")
    }

    /// The line that the log in the data folder gets of it.
    var logLine: ByteBuffer {
        var metadata: Logger.Metadata = [
            "function": "\(function ?? "-")", "request_id": "\(requestID)", "outcome": "\(outcomeText)",
            "wait_us": "\(Int(waited / .microseconds(1)))", "run_us": "\(Int(ran / .microseconds(1)))",
        ]
        if let request { metadata["request"] = "\(request)" }
        if attempt > 1 { metadata["attempt"] = "\(attempt)" }
        if let isCold { metadata["start"] = isCold ? "cold" : "warm" }
        return LogLine.json(level: "info", message: "invocation", metadata)
    }

    private var outcomeText: String {
        switch outcome {
        case .status(let code): "\(code)"
        case .completed: "completed"
        case .failed: "failed"
        case .timedOut: "timed out"
        case .cancelled: "cancelled"
        case .saturated: "saturated"
        }
    }

    private var outcomeColour: Terminal.Colour {
        switch outcome {
        case .status(..<400), .completed: .green
        case .status(..<500), .cancelled, .saturated: .yellow
        case .status, .failed, .timedOut: .red
        }
    }

    /// Milliseconds with one digit, from a second on seconds with two.
    static func text(_ duration: Duration) -> String {
        let milliseconds = duration / .milliseconds(1)
        return milliseconds < 1000 ? "\(rounded(milliseconds, 10)) ms" : "\(rounded(milliseconds / 1000, 100)) s"
    }

    private static func rounded(_ value: Double, _ steps: Double) -> Double { (value * steps).rounded() / steps }
}
