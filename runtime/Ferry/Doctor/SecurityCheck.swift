import Glibc
import Host
import NIOSSL

/// What `ferry doctor` looks at for the sake of security: who may call, what others may read, how long the certificate is
/// good.
struct SecurityCheck: Sendable {
    /// From this age before its end a certificate is worth a word: that of Let's Encrypt is renewed 30 days before.
    static let renewalDays = 14

    let configuration: Configuration
    let dataFolder: String

    func findings() -> [Finding] { callers() + secrets() + certificate() }

    private func callers() -> [Finding] {
        let outside = configuration.http.addresses.filter { !$0.isLocal }.map(\.description).joined(separator: ", ")
        guard outside.isEmpty || configuration.identity.mode != .none else {
            return [
                .warning(
                    "identity",
                    "identity.mode is none, and others than this machine reach \(outside): they may do everything",
                    mend: "set identity.mode, or listen on loopback or a Unix socket behind a proxy that asks who calls"
                )
            ]
        }
        if configuration.identity.mode == .header, configuration.http.trustedProxies.trustsEverybody {
            return [
                .failed(
                    "identity", "http.trustedProxies holds a network of all addresses: whoever calls may name any user",
                    mend: "name the proxy's own addresses")
            ]
        }
        var findings = [Finding.ok("identity", "mode \(configuration.identity.mode.rawValue)")]
        let hasProxy = !configuration.http.trustedProxies.isEmpty
        if configuration.identity.mode == .jwt, !outside.isEmpty, configuration.tls == nil, !hasProxy {
            findings.append(
                .warning(
                    "tls", "tokens come in clear text to \(outside)",
                    mend: "set http.tls, or put a proxy with TLS before it"))
        }
        return findings
    }

    private func secrets() -> [Finding] {
        var problems = configuration.warnings.map { "\($0.file) \($0.reason.dropFirst("warning: ".count))" }
        if let key = configuration.tlsKey, Self.mode(key).map({ $0 & 0o004 != 0 }) == true {
            problems.append("\(key) is the key of the certificate, and every user of this machine may read it")
        }
        if let mode = Self.mode(dataFolder), mode & 0o077 != 0 {
            problems.append("the data folder \(dataFolder) is open to other users of this machine")
        }
        for name in ["admin.token", "ticket.key", "s3/credentials", "s3/endpoint.json"] {
            guard let mode = Self.mode("\(dataFolder)/\(name)"), mode & 0o077 != 0 else { continue }
            problems.append("\(dataFolder)/\(name) is a secret, and not for its owner alone")
        }
        guard !problems.isEmpty else { return [.ok("secrets", "for their owner alone")] }
        return problems.map { .warning("secrets", $0, mend: "chmod 600 (a folder: 700), or mend the name") }
    }

    private func certificate() -> [Finding] {
        guard let files = configuration.tls else { return [] }
        let mend = "look at http.tls.certificate and http.tls.key; SIGHUP has a host read them again"
        do {
            _ = try TLSCertificates(certificate: files.certificate, key: files.key)
            guard let own = try NIOSSLCertificate.fromPEMFile(files.certificate).first else {
                return [.failed("certificate", "\(files.certificate) holds none", mend: mend)]
            }
            return [Self.finding(files.certificate, from: own.notValidBefore, to: own.notValidAfter, now: time(nil))]
        } catch {
            return [.failed("certificate", "\(error)", mend: mend)]
        }
    }

    /// What the times of a certificate mean.
    static func finding(_ name: String, from start: time_t, to end: time_t, now: time_t) -> Finding {
        let mend = "renew it and send the host SIGHUP"
        guard start <= now else { return .failed("certificate", "\(name) is not valid yet", mend: "look at the clock") }
        guard now <= end else { return .failed("certificate", "\(name) has expired", mend: mend) }
        let days = (end - now) / 86_400
        guard days >= renewalDays else { return .warning("certificate", "\(name) expires in \(days) days", mend: mend) }
        return .ok("certificate", "\(name) is good for \(days) days")
    }

    private static func mode(_ path: String) -> mode_t? {
        var information = stat()
        return stat(path, &information) == 0 ? information.st_mode : nil
    }
}
