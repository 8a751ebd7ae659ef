internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOPosix

/// A process of a function with its links, one for each of the supervisor's loops. What changes is in its pool.
final class FunctionProcess: Sendable {
    /// What its workers lock their jobs with begins with this.
    let token: String
    let startedAt = NIODeadline.now()
    let receipts: LinkReceipts
    /// In the order of the loops.
    let links: [SupervisorLink]

    /// Makes the links; calls may be sent over them at once, they wait in the kernel until the process is there.
    ///
    /// - Returns: The process, and its ends of the links.
    /// - Throws: ``LoaderError`` with code `.system`; nothing is left open.
    static func make(
        loops: [any EventLoop], logger: Logger,
        notify: @escaping @Sendable (FunctionProcess, SupervisorLink.Notice) -> Void
    ) throws(LoaderError) -> (process: FunctionProcess, ends: [CInt]) {
        let receipts = try LinkReceipts(linkCount: loops.count)
        var ours: [CInt] = []
        var theirs: [CInt] = []
        for _ in loops {
            var pair: [CInt] = [-1, -1]
            let type = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
            guard socketpair(AF_UNIX, type, 0, &pair) == 0 else {
                let failure = FileSystem.failure("make", "a socket pair")
                for descriptor in ours + theirs { close(descriptor) }
                throw failure
            }
            ours.append(pair[0])
            theirs.append(pair[1])
        }
        let process = FunctionProcess(loops: loops, receipts: receipts, logger: logger, notify: notify)
        for (link, descriptor) in zip(process.links, ours) { process.connect(link, descriptor) }
        return (process, theirs)
    }

    private init(
        loops: [any EventLoop], receipts: LinkReceipts, logger: Logger,
        notify: @escaping @Sendable (FunctionProcess, SupervisorLink.Notice) -> Void
    ) {
        token = FunctionProcess.makeToken()
        self.receipts = receipts
        let owner = Owner()
        links = loops.enumerated().map { index, loop in
            SupervisorLink(loop: loop, index: index, receipts: receipts, logger: logger) { notice in
                if let process = owner.process { notify(process, notice) }
            }
        }
        owner.process = self
    }

    /// The link of the loop, or any from elsewhere.
    func link(on loop: any EventLoop) -> SupervisorLink { links.first { $0.loop === loop } ?? links[0] }

    func closeLinks() {
        for link in links { link.loop.execute { link.channel.close() } }
    }

    private func connect(_ link: SupervisorLink, _ descriptor: CInt) {
        link.loop.execute {
            link.channel.owner = link
            LinkChannel.bootstrap(link.loop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(link.channel)
                    }
                }
                .withConnectedSocket(descriptor)
                .whenFailure { _ in link.loop.execute { link.channel.close() } }
        }
    }

    private static func makeToken() -> String {
        let digits = String(UInt64.random(in: 0 ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Lets links refer to the process that holds them.
    private final class Owner: @unchecked Sendable {
        // @unchecked: written once, before the links are handed to their loops.
        weak var process: FunctionProcess?
    }
}
