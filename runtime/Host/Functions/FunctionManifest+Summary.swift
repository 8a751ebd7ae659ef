extension FunctionManifest.Trigger {
    /// One line for people: `GET /v1/things`, `queue mails, process`.
    public var summary: String {
        switch self {
        case .http(let method, let path): "\(method) \(path)"
        case .cloudEvents(let method, let path): "cloudevents \(method) \(path)"
        case .sse(let path): "sse \(path)"
        case .webSocket(let path): "websocket \(path)"
        case .queue(let queue, let moment): "queue \(queue), \(moment.rawValue)"
        case .schedule(let pattern, let timeZone): "schedule \(pattern) (\(timeZone))"
        }
    }
}
