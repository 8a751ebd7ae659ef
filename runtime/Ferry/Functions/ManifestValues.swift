import FunctionKit
import Host

/// A manifest's values as they are printed, those only that mean something for its trigger.
enum ManifestValues {
    /// One value.
    struct Value: Encodable, Hashable {
        let value: String
        let isDefault: Bool
    }

    /// The trigger's kind, and what calls the function.
    static func target(_ trigger: FunctionManifest.Trigger) -> (kind: String, target: String) {
        switch trigger {
        case .http(let method, let path): ("http", "\(method) \(path)")
        case .cloudEvents(let method, let path): ("cloudevents", "\(method) \(path)")
        case .sse(let path): ("sse", "GET \(path)")
        case .webSocket(let path): ("websocket", "GET \(path)")
        case .queue(let name, let moment): ("queue", "\(name) \(moment.rawValue)")
        case .schedule(let pattern, let zone): ("schedule", "\(pattern) (\(zone))")
        }
    }

    /// The values by the manifest's keys.
    static func values(_ manifest: FunctionManifest, given: Set<String>) -> [String: Value] {
        var texts = [
            "timeout": text(manifest.timeout), "concurrency": "\(manifest.concurrency)",
            "executor": manifest.executor.rawValue,
        ]
        switch manifest.trigger {
        case .http, .cloudEvents: texts["maxBody"] = "\(manifest.maxBodyBytes) bytes"
        case .webSocket:
            texts["maxMessage"] = "\(manifest.maxMessageBytes) bytes"
            texts["compression"] = manifest.compression.rawValue
        case .queue(_, .process), .schedule: texts["retry"] = text(manifest.retry)
        case .sse, .queue: break
        }
        switch manifest.trigger {
        case .http, .cloudEvents, .sse, .webSocket:
            texts["queueLimit"] = "\(manifest.queueLimit)"
            texts["auth"] = manifest.access.rawValue
            texts["rateLimit"] = manifest.rateLimit.isEmpty ? "none" : manifest.rateLimit.joined(separator: ", ")
        case .queue, .schedule: break
        }
        return texts.reduce(into: [:]) { $0[$1.key] = Value(value: $1.value, isDefault: !given.contains($1.key)) }
    }

    /// A retry policy in words.
    static func text(_ retry: FunctionManifest.Retry) -> String {
        guard retry.attempts > 1 else { return "1 attempt" }
        let delay = retry.isExponential ? "doubling from \(text(retry.delay))" : "of \(text(retry.delay)) each"
        let jitter = retry.jitter > 0 ? ", of which up to \(retry.jitter) at random" : ""
        return "\(retry.attempts) attempts, delays \(delay)\(jitter)"
    }

    /// Whole seconds as `30s`, others as `500ms`.
    static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        return attoseconds == 0 ? "\(seconds)s" : "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)ms"
    }
}
