import Glibc
import Host
import Logging

extension Core {
    /// The admin listener, or `nil` where it is off.
    ///
    /// Hosts may share a data folder; the first one has its socket, and the others go without unless the configuration
    /// gives each its own address.
    func makeAdmin(
        _ runners: @escaping @Sendable () -> [FunctionRunner], pool: HandlerPool, loops: LoopExecutors,
        processes: IsolatedFunctions? = nil
    ) throws -> (server: HTTPServer, address: ListenAddress)? {
        let address: ListenAddress
        let isConfigured: Bool
        switch configuration.admin.listen {
        case .off: return nil
        case .automatic:
            guard configuration.redis.url == nil else { return nil }
            let path = AdminSocket.path(in: options.dataFolder)
            guard let socket = ListenAddress("unix:\(path)") else {
                logger.notice("no admin listener: the data folder's path is too long for a socket")
                return nil
            }
            guard !AdminSocket.isServed(path) else {
                logger.info("no admin listener: another host has the data folder's")
                return nil
            }
            (address, isConfigured) = (socket, false)
        case .address(let given):
            if case .unix(let path) = given, AdminSocket.isServed(path) {
                throw CommandFailure("admin.listen: another process listens on \(given)")
            }
            (address, isConfigured) = (given, true)
        }
        let token = try configuration.admin.token.map(AdminToken.init) ?? AdminToken(dataFolder: options.dataFolder)
        var settings = configuration.http
        settings.addresses = [address]
        settings.hasPrivateSockets = true
        settings.cors = CORSPolicy()
        settings.trustedProxies = TrustedProxies()
        settings.tls = nil
        let server = try HTTPServer(
            options: settings, functions: [],
            hostRoutes: AdminRoutes.make(runners, token: token, processes: processes), health: nil, pool: pool,
            loops: loops, logger: logger
        ) { addresses in
            guard isConfigured else { return }
            for address in addresses { LogOutput.announce("admin on \(address.url())") }
        }
        return (server, address)
    }
}
