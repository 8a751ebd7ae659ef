import AsyncHTTPClient
import FunctionKit
import Glibc
import HTTPTypes
import Host
import NIOCore
import NIOHTTP1
import NIOPosix

/// The API of a Ferry host's download functions, as its callers see it.
struct DownloadClient {
    /// What `initiate` answers.
    struct Accepted: Decodable {
        let jobId: String
        let totalFileIds: Int
    }

    /// What `status` answers, as far as a command line shows it.
    struct Job: Decodable {
        struct Progress: Decodable {
            let current: Int
            let total: Int
            let percentage: Double
            let bytes: Int64
            let totalBytes: Int64?
            let estimatedTimeRemaining: Int?
        }
        struct File: Decodable {
            let fileID: Int64
            let status: String
            let error: String?

            enum CodingKeys: String, CodingKey {
                case fileID = "file_id"
                case status, error
            }
        }
        let status: String
        var progress: Progress
        let filesProcessed: [File]
        let attempt: Int
        let maxAttempts: Int
        let error: String?
    }

    /// What `download-url` answers.
    struct Link: Decodable {
        struct Checksum: Decodable {
            let algorithm: String
            let value: String
        }
        let downloadUrl: String
        let fileSize: Int64
        let checksum: Checksum
    }

    /// What an error's body says.
    struct Refusal: Decodable {
        let message: String
        let details: [HTTPError.Detail]?
    }

    /// What to do about 401.
    static let tokenHint = "Give a token with --token-file, --token or FERRY_TOKEN."

    private struct Order: Encodable {
        let fileIDs: [Int64]
        let onMissing: String?
        let archiveName: String?

        enum CodingKeys: String, CodingKey {
            case fileIDs = "file_ids"
            case onMissing = "on_missing"
            case archiveName = "archive_name"
        }
    }

    let baseURL: String
    /// Who calls. The store that an archive is fetched from is not told.
    let token: Secret?
    let http: HTTPClient

    func initiate(_ fileIDs: [Int64], onMissing: String?, archiveName: String?) async throws -> Accepted {
        let order = Order(fileIDs: fileIDs, onMissing: onMissing, archiveName: archiveName)
        return try await call(.POST, "/v1/download/initiate", body: try JSON.encode(order))
    }

    func job(_ id: String) async throws -> Job {
        try await call(.GET, "/v1/download/job/\(id)")
    }

    func link(_ id: String) async throws -> Link {
        try await call(.GET, "/v1/download/job/\(id)/download-url")
    }

    /// Opens a presigned URL.
    func open(_ url: String) async throws -> HTTPClientResponse {
        let response: HTTPClientResponse
        do {
            response = try await http.execute(HTTPClientRequest(url: url), deadline: .now() + .hours(6))
        } catch {
            throw CommandFailure("the archive's URL cannot be fetched: \(Self.reason(error))")
        }
        guard response.status == .ok else {
            throw CommandFailure("the store answered \(response.status.code) for the archive")
        }
        return response
    }

    /// What the system says, where an error wraps that in its own words.
    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: return String(cString: strerror(error.errnoCode))
        case let error as NIOConnectionError where !error.connectionErrors.isEmpty:
            // One address of the name after the other was tried.
            return error.connectionErrors.map { "\($0.target): \(reason($0.error))" }.joined(separator: ", ")
        default: return "\(error)"
        }
    }

    private func call<Answer: Decodable>(
        _ method: HTTPMethod, _ path: String, body: ByteBuffer? = nil
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: baseURL + path)
        request.method = method
        request.headers.authorize(token)
        if let body {
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(body)
        }
        let response: HTTPClientResponse
        let answer: ByteBuffer
        do {
            response = try await http.execute(request, timeout: .seconds(30))
            answer = try await response.body.collect(upTo: 4 << 20)
        } catch {
            throw CommandFailure(
                "no answer from \(baseURL): \(Self.reason(error)). Is the host running? (make run, or ferry serve)")
        }
        guard (200..<300).contains(response.status.code) else {
            let refusal = try? JSON.decode(Refusal.self, from: answer)
            let details = (refusal?.details ?? []).map {
                "\n  \(Terminal.plain($0.field)): \(Terminal.plain($0.problem))"
            }.joined()
            let message =
                refusal.map { Terminal.plain($0.message) }
                ?? "that is no answer of Ferry; is \(baseURL) the right address?"
            let hint = response.status == .unauthorized ? "\n  \(DownloadClient.tokenHint)" : ""
            throw CommandFailure("\(method) \(path) was answered \(response.status.code): \(message)\(details)\(hint)")
        }
        do {
            return try JSON.decode(Answer.self, from: answer)
        } catch {
            throw CommandFailure("\(method) \(path) was answered with something that is not of this API")
        }
    }
}
