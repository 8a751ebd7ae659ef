import Downloads
import FunctionKit

/// Tells whether a file is there, and how large it is.
struct Check: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        let file = try FileRequest(request)
        let info = try await context.bindings.objects.head(context.downloads.sourceKey(for: file.fileID))
        var json = JSONWriter(capacity: 128)
        json.object { json in
            json.key("file_id")
            json.value(Int(file.fileID))
            json.key("available")
            json.value(info != nil)
            json.key("s3Key")
            json.value(info?.key)
            json.key("size")
            json.value(info.map { Int($0.sizeBytes) })
        }
        return .json(encoded: json.buffer)
    }
}
