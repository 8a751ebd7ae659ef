import Glibc

/// Shows progress on standard error: a bar that is redrawn on a terminal, plain lines elsewhere.
struct ProgressDisplay {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var lastLabel = ""
    private var lastStep = -1
    private var isOpen = false

    /// Shows the state of a job.
    mutating func show(_ job: DownloadClient.Job) {
        let progress = job.progress
        var text = "\(progress.current)/\(progress.total) files, \(Self.size(progress.bytes))"
        if let total = progress.totalBytes { text += " of \(Self.size(total))" }
        // The store puts the parts together when all have been sent, which for a large archive takes its time.
        let isFinishing = job.status == "processing" && progress.current == progress.total
        if let seconds = progress.estimatedTimeRemaining, job.status == "processing", !isFinishing {
            text += ", \(seconds) s left"
        }
        if job.attempt > 1 { text += ", attempt \(job.attempt) of \(job.maxAttempts)" }
        show(fraction: progress.percentage / 100, label: isFinishing ? "finishing" : job.status, text: text)
    }

    /// Shows a share of the whole, 0 to 1, with a label before and a text behind.
    mutating func show(fraction: Double, label: String, text: String) {
        let percentage = Int((min(max(fraction, 0), 1) * 100).rounded(.down))
        if isTerminal {
            // A line that wraps cannot be drawn over: the bar takes what the text leaves.
            let columns = columns
            let cells = max(4, min(28, columns - 21 - text.count))
            let filled = min(cells, Int(fraction * Double(cells)))
            let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: cells - filled)
            let line = "\(pad(label, 11)) \(bar) \(padLeft(percentage, 3)) %  \(text)"
            write("\r\u{1B}[2K\(line.prefix(columns - 1))")
            isOpen = true
        } else {
            // A log wants to see that it goes on, not each per cent.
            let step = percentage / 20
            guard label != lastLabel || step != lastStep else { return }
            (lastLabel, lastStep) = (label, step)
            write("\(label) \(percentage) % (\(text))\n")
        }
    }

    /// Ends the line of the bar.
    mutating func finish() {
        if isOpen { write("\n") }
        isOpen = false
        (lastLabel, lastStep) = ("", -1)
    }

    /// A byte count for people, in powers of 1024.
    static func size(_ bytes: Int64) -> String {
        var value = Double(bytes)
        var unit = 0
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        guard unit > 0 else { return "\(bytes) B" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }

    /// The terminal's width.
    private var columns: Int {
        var size = winsize()
        return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1 ? Int(size.ws_col) : 80
    }

    private func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private func padLeft(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: " ", count: max(0, width - digits.count)) + digits
    }

    private func write(_ text: String) {
        LogOutput.write(text, to: STDERR_FILENO)
    }
}
