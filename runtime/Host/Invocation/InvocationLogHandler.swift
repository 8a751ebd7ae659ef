internal import Logging

/// Adds function, request and attempt to whatever a handler logs.
///
/// The values are put into the metadata when a line is written, so that an invocation that logs nothing builds nothing.
struct InvocationLogHandler: LogHandler {
    private var base: any LogHandler
    private let function: String
    private let requestID: String
    private let attempt: Int
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level

    init(_ base: any LogHandler, function: String, requestID: String, attempt: Int) {
        self.base = base
        self.function = function
        self.requestID = requestID
        self.attempt = attempt
        logLevel = base.logLevel
    }

    var metadataProvider: Logger.MetadataProvider? {
        get { base.metadataProvider }
        set { base.metadataProvider = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all: Logger.Metadata = ["function": "\(function)", "request_id": "\(requestID)"]
        if attempt > 1 { all["attempt"] = "\(attempt)" }
        all.merge(metadata) { $1 }
        if let own = event.metadata { all.merge(own) { $1 } }
        var event = event
        event.metadata = all
        base.log(event: event)
    }
}
