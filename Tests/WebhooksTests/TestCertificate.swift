import Foundation
import NIOSSL

/// Self-signed certificates of the fixtures: one for localhost and 127.0.0.1, one for another name. Made with
/// `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -addext subjectAltName=…`.
struct TestCertificate {
    let certificate: NIOSSLCertificate
    let misnamed: NIOSSLCertificate
    private let folder: String

    init() throws {
        folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Fixtures"
        certificate = try Self.load("\(folder)/localhost.pem")
        misnamed = try Self.load("\(folder)/other.pem")
    }

    var server: TLSConfiguration { get throws { try configuration("localhost") } }
    var misnamedServer: TLSConfiguration { get throws { try configuration("other") } }

    private static func load(_ path: String) throws -> NIOSSLCertificate {
        try NIOSSLCertificate.fromPEMFile(path)[0]
    }

    private func configuration(_ name: String) throws -> TLSConfiguration {
        .makeServerConfiguration(
            certificateChain: [.certificate(try Self.load("\(folder)/\(name).pem"))],
            privateKey: .privateKey(try NIOSSLPrivateKey(file: "\(folder)/\(name).key", format: .pem)))
    }
}
