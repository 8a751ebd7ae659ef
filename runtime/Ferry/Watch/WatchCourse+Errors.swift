import AsyncHTTPClient
import NIOCore
import NIOPosix
import NIOSSL

extension WatchCourse.End {
    /// What an error of the network means: there was no connection, or there was one and it broke.
    init(_ error: any Error) {
        switch error {
        case is NIOConnectionError, is IOError, is NIOSSLError, is NIOSSLExtraError, is SocketAddressError:
            self = .unreachable(DownloadClient.reason(error))
        case let error as HTTPClientError where error == .connectTimeout || error == .tlsHandshakeTimeout:
            self = .unreachable(DownloadClient.reason(error))
        case let error as HTTPClientError where error == .readTimeout: self = .lost("silence")
        default: self = .lost(DownloadClient.reason(error))
        }
    }
}
