internal import Glibc
internal import Logging
internal import NIOCore

extension HTTPConnection {
    /// How much the channel holds before a user counts it as full. Little: what waits here is out of date soon.
    private static let lentWaterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 1024, high: 4096)
    /// How much the kernel holds besides that it has not sent (`TCP_NOTSENT_LOWAT`, `tcp(7)`).
    private static let lentUnsentBytes = 16_384

    /// Whether the channel takes more without keeping it.
    var isWritable: Bool { context?.channel.isWritable ?? false }

    /// Hands the connection to a user, in answer to its request. Nothing has been written for the request yet.
    ///
    /// - Returns: `false` when the request has been answered or its client is gone: then the user gets nothing.
    func lend(to user: any ConnectionUser) -> Bool {
        guard let exchange, exchange === user.exchange, phase == .running, context != nil else { return false }
        self.exchange = nil
        self.user = user
        phase = .lent
        setSocketOptions(
            HTTPConnection.lentWaterMark, unsentBytes: HTTPConnection.lentUnsentBytes,
            userTimeout: loop.options.writePauseTimeout)
        return true
    }

    /// Offers what has come to the user.
    func offerInput() {
        guard let user, inbox.readableBytes > 0 else { return }
        // Taken out meanwhile: the user may end its use, which touches the inbox.
        var bytes = inbox
        inbox = ByteBuffer()
        user.received(&bytes)
        guard phase == .lent || phase == .idle, bytes.readableBytes > 0 else { return }
        inbox = bytes
        if phase == .idle { process() }
    }

    /// Writes for the user. Nothing happens when the connection is closed.
    func write(_ bytes: ByteBuffer) {
        loop.sendTurns.sent(bytes.readableBytes)
        context?.write(wrapOutboundOut(bytes), promise: nil)
    }

    /// Sends what was written.
    func flush() {
        context?.flush()
    }

    /// Sets the one deadline of the user.
    func setDeadline(_ time: NIODeadline) {
        loop.timers.set(self, to: time)
    }

    /// Ends the use in order and goes on to the next request, which may have come already.
    func takeBack() {
        guard phase == .lent else { return }
        user = nil
        setSocketOptions(ChannelOptions.Types.WriteBufferWaterMark(low: 32_768, high: 65_536), unsentBytes: 0)
        guard phase == .lent else { return }
        phase = .idle
        goOn(.now())
    }

    /// Ends the use and the connection: sends these last bytes, then closes this side and reads on for a while, so that
    /// the client gets to read them.
    func endUse(_ last: ByteBuffer) {
        guard phase == .lent else { return }
        user = nil
        sendLast(last, nil, lingers: true, .now())
    }

    /// Closes the connection at once. What was not sent is lost.
    func close() {
        context?.close(promise: nil)
    }

    /// Says how much may wait in the channel and in the kernel, and how long the kernel waits for a client that takes
    /// nothing: it alone sees one whose machine has gone, since what is sent seldom and small always fits its buffer.
    private func setSocketOptions(
        _ mark: ChannelOptions.Types.WriteBufferWaterMark, unsentBytes: Int, userTimeout: Duration = .zero
    ) {
        guard let channel = context?.channel, let options = channel.syncOptions else { return }
        do {
            try options.setOption(.writeBufferWaterMark, value: mark)
            guard channel.remoteAddress?.ipAddress != nil else { return }
            try options.setOption(
                ChannelOptions.socket(IPPROTO_TCP, TCP_NOTSENT_LOWAT), value: unsentBytes)
            let milliseconds = TimeAmount(userTimeout).nanoseconds / 1_000_000
            try options.setOption(
                ChannelOptions.socket(IPPROTO_TCP, TCP_USER_TIMEOUT), value: Int(milliseconds))
        } catch {
            // The connection is closing; its end comes on its own.
            server.logger.debug("a socket option is refused", metadata: ["error": "\(error)"])
        }
    }
}
