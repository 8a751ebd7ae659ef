import Downloads
import FunctionKit

/// Gives the URL of a single file within the request itself, without a job.
///
/// The configuration's `downloads.startDelayMs` makes it slow, for trying out how callers and proxies bear that.
struct Start: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        let began = ContinuousClock.now
        let file = try FileRequest(request)
        let settings = context.downloads
        let objects = try context.bindings.objects
        if settings.startDelay > .zero { try await Task.sleep(for: settings.startDelay) }
        let key = settings.sourceKey(for: file.fileID)
        let info = try await objects.head(key)
        let url = try info.map { _ in
            try objects.presignedURL(
                for: key, expiresIn: settings.presignedURLLifetime,
                fileName: key.split(separator: "/").last.map(String.init))
        }
        var json = JSONWriter()
        json.object { json in
            json.key("file_id")
            json.value(Int(file.fileID))
            json.key("status")
            json.value(url == nil ? "failed" : "completed")
            json.key("downloadUrl")
            json.value(url)
            json.key("size")
            json.value(info.map { Int($0.sizeBytes) })
            json.key("processingTimeMs")
            json.value(Int((ContinuousClock.now - began) / .milliseconds(1)))
            json.key("message")
            json.value(url == nil ? "The file was not found." : "The file is ready for download.")
        }
        var response = Response.json(encoded: json.buffer)
        response.headers[.cacheControl] = "no-store"
        return response
    }
}
