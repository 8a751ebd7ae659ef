public import FunctionKit
internal import NIOCore

extension JobRecord {
    /// Writes the job as the API shows it.
    ///
    /// - Parameters:
    ///   - writer: Where it goes.
    ///   - time: The time for which the status is told.
    ///   - callback: How its callback stands, where that is to be shown.
    public func write(to writer: inout JSONWriter, at time: Timestamp, callback: CallbackView? = nil) {
        write(to: &writer, status: status(at: time), seq: String(seq), callback: callback)
    }

    /// Writes the job with `seq` as a text of its own, which may be a placeholder.
    func write(to writer: inout JSONWriter, status: JobStatus, seq: String, callback: CallbackView? = nil) {
        writer.object { writer in
            writer.key("jobId")
            writer.value(id.description)
            writer.key("status")
            writer.value(status.rawValue)
            writer.key("progress")
            writeProgress(to: &writer)
            writer.key("filesProcessed")
            writer.array { writer in
                for file in files { Self.write(file, to: &writer) }
            }
            writer.key("attempt")
            writer.value(attempt)
            writer.key("maxAttempts")
            writer.value(maxAttempts)
            writer.key("error")
            writer.value(failure?.message)
            writer.key("errorCode")
            writer.value(failure?.code)
            writer.key("seq")
            writer.raw(seq)
            writer.key("createdAt")
            writer.value(createdAt.rfc3339)
            writer.key("updatedAt")
            writer.value(updatedAt.rfc3339)
            writer.key("expiresAt")
            writer.value(expiresAt?.rfc3339)
            if let callback {
                writer.key("callback")
                callback.write(to: &writer)
            }
        }
    }

    func writeProgress(to writer: inout JSONWriter) { progress.write(to: &writer) }

    static func write(_ file: JobFile, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.key("file_id")
            writer.value(Int(file.id))
            writer.key("status")
            writer.value(file.state.rawValue)
            if let size = file.sizeBytes {
                writer.key("size")
                writer.value(Int(size))
            }
            if let error = file.error {
                writer.key("error")
                writer.value(error)
            }
        }
    }

    /// The entity tag: equal tags mean equal answers. Expiry by time alone does not change `seq`, so it is told apart.
    /// What becomes of its callback does not either.
    public func entityTag(at time: Timestamp, callback: CallbackView? = nil) -> String {
        let expiry = status(at: time) == status ? "" : "-expired"
        return "\"\(seq)\(expiry)\(callback?.tag.map { "-\($0)" } ?? "")\""
    }

    /// The answer to a request for the job: 200 with the job, or 304 when the caller has it already.
    ///
    /// - Parameters:
    ///   - request: The request, for its `If-None-Match`.
    ///   - time: The time for which the status is told.
    ///   - callback: How its callback stands, where there is one.
    /// - Returns: The response with `ETag`; unfinished jobs also tell when to ask again.
    public func response(to request: Request, at time: Timestamp, callback: CallbackView? = nil) -> Response {
        let tag = entityTag(at: time, callback: callback)
        var response: Response
        if isKnown(to: request, tag) {
            response = Response(.notModified)
        } else {
            var writer = JSONWriter(capacity: 512 + files.count * 64)
            write(to: &writer, at: time, callback: callback)
            response = .json(encoded: writer.buffer)
        }
        response.headers[.eTag] = tag
        response.headers[.cacheControl] = "private, no-cache"
        if !status.isFinished { response.headers[.retryAfter] = "1" }
        return response
    }

    /// Whether a caller that is ready to wait has nothing to learn from the job as it is.
    func isAwaited(by request: Request, at time: Timestamp) -> Bool {
        guard !status(at: time).isFinished else { return false }
        return request.headers[.ifNoneMatch] == nil || isKnown(to: request, entityTag(at: time))
    }

    private func isKnown(to request: Request, _ tag: String) -> Bool {
        request.headers[.ifNoneMatch].map { Self.matches($0, tag) } ?? false
    }

    /// RFC 9110 section 13.1.2, weak comparison.
    private static func matches(_ condition: String, _ tag: String) -> Bool {
        condition.split(separator: ",").contains { candidate in
            let trimmed = candidate.drop { $0 == " " || $0 == "\t" }
            let text = trimmed.hasPrefix("W/") ? trimmed.dropFirst(2) : trimmed
            return text == "*" || text.prefix { $0 != " " && $0 != "\t" } == tag
        }
    }
}
