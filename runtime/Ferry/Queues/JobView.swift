import BullQueue
import FunctionKit

/// One job as the commands print it.
struct JobView {
    let job: BullStoredJob
    let queue: String
    let state: BullJobState
    /// What only a job that is shown alone has.
    var detail: BullJobDetail?

    init(job: BullStoredJob, queue: String, state: BullJobState) {
        self.job = job
        self.queue = queue
        self.state = state
    }

    init(detail: BullJobDetail, queue: String) {
        self.init(job: detail.job, queue: queue, state: detail.state)
        self.detail = detail
    }

    /// Attempts made of those allowed.
    var attempts: String { "\(job.attemptsMade ?? 0)/\(job.maxAttempts)" }

    /// The jobs as a JSON array.
    static func text(_ views: [JobView]) -> String {
        var writer = JSONWriter()
        writer.array { writer in for view in views { view.write(into: &writer) } }
        return String(buffer: writer.buffer)
    }

    /// The job as a JSON object.
    var text: String {
        var writer = JSONWriter()
        write(into: &writer)
        return String(buffer: writer.buffer)
    }

    private func write(into writer: inout JSONWriter) {
        writer.object { writer in
            func member(_ name: StaticString, _ text: String?) {
                writer.key(name)
                writer.value(text)
            }
            func member(_ name: StaticString, _ number: Int?) {
                writer.key(name)
                writer.value(number)
            }
            member("queue", queue)
            member("id", job.id)
            member("name", job.name)
            member("state", state.rawValue)
            // What is no JSON is told as the text that it is, beside a null.
            for (name, textName, stored) in JobView.documents(of: job) {
                let isJSON = stored.map(BullQueueControl.isJSON) ?? false
                writer.key(name)
                writer.raw(isJSON ? stored ?? "null" : "null")
                if let stored, !isJSON { member(textName, stored) }
            }
            member("priority", job.priority)
            member("attemptsMade", job.attemptsMade ?? 0)
            member("attemptsStarted", job.attemptsStarted ?? 0)
            member("maxAttempts", job.maxAttempts)
            member("stalledCount", job.stalledCount ?? 0)
            member("addedAt", job.addedAt?.rfc3339)
            member("startedAt", job.startedAt?.rfc3339)
            member("finishedAt", job.finishedAt?.rfc3339)
            member("failedReason", job.failedReason)
            member("parent", job.fields["parentKey"])
            strings("defects", job.defects, &writer)
            if let detail {
                strings("stacktraces", job.stacktraces, &writer)
                strings("log", detail.log, &writer)
                member("logCount", detail.logCount)
                member("lockToken", detail.lockToken)
                member("lockRemainingMs", detail.lockRemaining.map { Int($0 / .milliseconds(1)) })
                member("pendingChildCount", detail.pendingChildCount)
                member("dueAt", detail.dueAt?.rfc3339)
            }
        }
    }

    private static func documents(of job: BullStoredJob) -> [(StaticString, StaticString, String?)] {
        [
            ("data", "dataText", job.data), ("options", "optionsText", job.options),
            ("progress", "progressText", job.fields["progress"]),
            ("returnValue", "returnValueText", job.returnValue),
        ]
    }

    private func strings(_ name: StaticString, _ values: [String], _ writer: inout JSONWriter) {
        writer.key(name)
        writer.array { writer in for value in values { writer.value(value) } }
    }
}
