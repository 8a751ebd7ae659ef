import Host
import Logging
import NIOPosix
import ServiceLifecycle
import UnixSignals

/// Reads the server's certificate again at each SIGHUP.
struct CertificateReloader: Service {
    let certificates: TLSCertificates
    let logger: Logger

    func run() async throws {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            do {
                try await NIOThreadPool.singleton.runIfActive { try certificates.reload() }
                logger.notice("the certificate was read again")
            } catch {
                logger.error("the certificate stays as it was", metadata: ["error": "\(error)"])
            }
        }
    }
}
