/// Where the bucket's name stands in a URL.
public enum S3Addressing: String, Sendable, Hashable, CaseIterable {
    /// `https://host/bucket/key`.
    case path
    /// `https://bucket.host/key`.
    case virtualHost
}

/// A bucket at an endpoint: gives the host and the path of its objects.
struct S3Location: Sendable {
    let endpoint: S3Endpoint
    let bucket: String
    let addressing: S3Addressing

    /// The `Host` field.
    var host: String { prefixed(endpoint.authority) }

    private func prefixed(_ authority: String) -> String {
        addressing == .path ? authority : "\(bucket).\(authority)"
    }

    /// The path on the wire. The key is encoded once and stands as it is: no `.`, `..` or `//` is collapsed.
    func path(key: String?) -> String {
        switch (addressing, key) {
        case (.path, let key?): "/\(bucket)/\(SigV4Encoding.path(key))"
        case (.path, nil): "/\(bucket)"
        case (.virtualHost, let key): "/\(SigV4Encoding.path(key ?? ""))"
        }
    }

    /// A URL; path and query are encoded already.
    func url(path: String, query: String) -> String {
        "\(endpoint.scheme)://\(prefixed(endpoint.urlAuthority))\(path)\(query.isEmpty ? "" : "?\(query)")"
    }
}
