internal import NIOCore
internal import NIOSSL
internal import Synchronization

/// A certificate chain and its key, from files that may be replaced while the process runs.
public final class TLSCertificates: Sendable {
    /// Why they cannot be used.
    public struct Failure: Error, Sendable, CustomStringConvertible {
        /// The reason, with the file's path.
        public let description: String
    }

    private let certificate: String
    private let key: String
    private let context: Mutex<NIOSSLContext>

    /// Reads both files. Blocks on the file system.
    ///
    /// - Parameters:
    ///   - certificate: The chain's path, PEM, the server's own certificate first.
    ///   - key: The private key's path, PEM, without passphrase.
    /// - Throws: ``Failure``.
    public init(certificate: String, key: String) throws(Failure) {
        self.certificate = certificate
        self.key = key
        context = Mutex(try TLSCertificates.read(certificate, key))
    }

    /// Reads both files again, for the connections that come from now on. Blocks on the file system.
    ///
    /// - Throws: ``Failure``; what was read before stays in use.
    public func reload() throws(Failure) {
        let fresh = try TLSCertificates.read(certificate, key)
        context.withLock { $0 = fresh }
    }

    func makeHandler() -> NIOSSLServerHandler {
        NIOSSLServerHandler(context: context.withLock { $0 })
    }

    private static func read(_ certificate: String, _ key: String) throws(Failure) -> NIOSSLContext {
        let chain: [NIOSSLCertificateSource]
        do {
            chain = try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) }
        } catch {
            throw Failure(description: "\(certificate) cannot be read as a certificate chain in PEM form: \(error)")
        }
        let privateKey: NIOSSLPrivateKey
        do {
            privateKey = try NIOSSLPrivateKey(file: key, format: .pem)
        } catch {
            throw Failure(description: "\(key) cannot be read as a private key in PEM form: \(error)")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain, privateKey: .privateKey(privateKey))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw Failure(description: "\(certificate) and \(key) do not belong together: \(error)")
        }
    }
}
