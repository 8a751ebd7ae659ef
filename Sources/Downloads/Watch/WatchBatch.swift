internal import FunctionKit
internal import NIOCore

/// Messages for one watcher in their order; of a run of `progress` messages one remains.
///
/// That one has the newest progress and number, and of every file that one of them names the newest result: each result
/// is published once, so dropping the older messages whole would lose those files until the next snapshot.
struct WatchBatch {
    private(set) var messages: [WatchMessage] = []
    /// The `progress` messages since the last message of another kind.
    private var run: [WatchMessage] = []

    var isEmpty: Bool { messages.isEmpty && run.isEmpty }

    mutating func append(_ message: WatchMessage) {
        if message.kind == .progress {
            run.append(message)
        } else {
            endRun()
            messages.append(message)
        }
    }

    mutating func append(_ more: [WatchMessage]) {
        for message in more { append(message) }
    }

    /// Takes all messages.
    mutating func take() -> [WatchMessage] {
        endRun()
        defer { messages = [] }
        return messages
    }

    private mutating func endRun() {
        guard let newest = run.last else { return }
        if run.count == 1 {
            messages.append(newest)
        } else if let merged = Self.merge(run) {
            messages.append(merged)
        } else {
            // One of another form; there are no more of them than a subscription keeps.
            messages += run
        }
        run = []
    }

    /// - Parameter run: At least one message.
    /// - Returns: `nil` when one of them is not of the published form.
    private static func merge(_ run: [WatchMessage]) -> WatchMessage? {
        guard let newest = run.last else { return nil }
        var forms: [PublishedProgress] = []
        forms.reserveCapacity(run.count)
        for message in run {
            guard let form = PublishedProgress(message.json) else { return nil }
            forms.append(form)
        }
        guard forms.dropLast().contains(where: { !$0.files.isEmpty }), let head = forms.last else { return newest }
        var places: [Int64: Int] = [:]
        var files: [ByteBuffer] = []
        for form in forms {
            for file in form.files {
                if let place = places[file.id] {
                    files[place] = file.json
                } else {
                    places[file.id] = files.count
                    files.append(file.json)
                }
            }
        }
        var json = ByteBuffer()
        json.reserveCapacity(files.reduce(256) { $0 + $1.readableBytes + 1 })
        json.writeImmutableBuffer(head.beforeFiles)
        for (place, file) in files.enumerated() {
            if place > 0 { json.writeInteger(UInt8(ascii: ",")) }
            json.writeImmutableBuffer(file)
        }
        json.writeImmutableBuffer(head.afterFiles)
        return WatchMessage(.progress, seq: newest.seq, isFinal: false, json: json)
    }
}
