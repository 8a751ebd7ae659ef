public import FunctionKit
internal import NIOCore
internal import NIOHTTP1

extension S3ObjectStore {
    /// What the store knows of an object, or `nil` when there is none.
    public func head(_ key: String) async throws -> ObjectInfo? {
        try await retrying("HEAD object") {
            do {
                let request = S3Request(
                    operation: "HEAD object", method: .HEAD, key: key,
                    headers: [(name: "x-amz-checksum-mode", value: "ENABLED")])
                let exchange = try await send(request)
                let head = try await exchange.head()
                try await drain(exchange)
                guard let size = S3ObjectStore.contentLength(head.headers) else {
                    throw S3Error(.invalidResponse, "HEAD object failed: the answer has no length")
                }
                return S3ObjectStore.info(key: key, sizeBytes: size, headers: head.headers)
            } catch let error as S3Error where error.status == 404 {
                return nil
            }
        }
    }

    /// Reads an object as a stream; see ``ObjectStore/read(_:range:)``.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - range: The bytes wanted; their end may lie behind the object's.
    /// - Returns: The object, or `nil` when there is none.
    /// - Throws: ``S3Error``, with status 416 when the range begins behind the object's end.
    public func read(_ key: String, range: Range<Int64>?) async throws -> ObjectBody? {
        if let range {
            guard range.lowerBound >= 0 else { throw S3Error(.invalidArgument, "a range begins at 0 or later") }
            if range.isEmpty {
                return try await head(key).map { ObjectBody(info: $0, chunks: S3ObjectBody(exchange: nil, length: 0)) }
            }
        }
        return try await retrying("GET object") {
            var request = S3Request(operation: "GET object", method: .GET, key: key)
            if let range {
                request.headers = [(name: "range", value: "bytes=\(range.lowerBound)-\(range.upperBound - 1)")]
            } else {
                request.headers = [(name: "x-amz-checksum-mode", value: "ENABLED")]
            }
            do {
                let exchange = try await send(request)
                return try S3ObjectStore.body(key: key, range: range, head: try await exchange.head(), of: exchange)
            } catch let error as S3Error where error.status == 404 && error.s3Code != "NoSuchBucket" {
                return nil
            }
        }
    }

    private static func body(
        key: String, range: Range<Int64>?, head: HTTPResponseHead, of exchange: S3Exchange
    ) throws -> ObjectBody {
        var isTaken = false
        defer { if !isTaken { exchange.abandon() } }
        guard let length = contentLength(head.headers) else {
            throw S3Error(.invalidResponse, "GET object failed: the answer has no length")
        }
        var size = length
        if let range {
            guard head.status == .partialContent, let part = contentRange(head.headers),
                part.range == range.lowerBound..<min(range.upperBound, part.size),
                Int64(part.range.count) == length
            else { throw S3Error(.invalidResponse, "GET object failed: the answer is not the range asked for") }
            size = part.size
        } else {
            guard head.status == .ok else {
                throw S3Error(.invalidResponse, "GET object failed: the answer is not the whole object")
            }
        }
        isTaken = true
        return ObjectBody(
            info: info(key: key, sizeBytes: size, headers: head.headers),
            chunks: S3ObjectBody(exchange: exchange, length: length))
    }

    static func contentLength(_ headers: HTTPHeaders) -> Int64? {
        let values = headers["content-length"]
        guard values.count == 1, let length = Int64(values[0]), length >= 0 else { return nil }
        return length
    }

    /// Reads `bytes 0-9/100`.
    ///
    /// - Source: RFC 9110 section 14.4.
    private static func contentRange(_ headers: HTTPHeaders) -> (range: Range<Int64>, size: Int64)? {
        guard let text = headers.first(name: "content-range"), text.hasPrefix("bytes ") else { return nil }
        let numbers = text.dropFirst("bytes ".count).split(whereSeparator: { $0 == "-" || $0 == "/" }).map { Int64($0) }
        guard numbers.count == 3, let first = numbers[0], let last = numbers[1], let size = numbers[2],
            0 <= first, first <= last, last < size
        else { return nil }
        return (first..<(last + 1), size)
    }

    private static func info(key: String, sizeBytes: Int64, headers: HTTPHeaders) -> ObjectInfo {
        // A composite checksum is one over the parts' checksums and says nothing of the whole.
        let isWhole = headers.first(name: "x-amz-checksum-type") == "FULL_OBJECT"
        return ObjectInfo(
            key: key, sizeBytes: sizeBytes, etag: headers.first(name: "etag"),
            crc32: isWhole ? headers.first(name: "x-amz-checksum-crc32").flatMap { S3Checksum.decode($0) } : nil,
            modifiedAt: headers.first(name: "last-modified").flatMap { Timestamp(s3: $0) })
    }
}
