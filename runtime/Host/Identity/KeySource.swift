public import Logging
public import ServiceLifecycle
internal import Synchronization
public import WebTokens

/// The keys of tokens, read again from time to time and when a token names one that is unknown.
///
/// However many such tokens come, the keys are read at most once in ``pause``, and all who wait share that one look. Keys
/// that cannot be read again stay in use for ``staleLimit``; after that nobody is believed.
public actor KeySource: Service {
    /// The shortest time between two looks.
    static let pause = Duration.seconds(5)
    /// How long keys are used that could not be read again.
    static let staleLimit = Duration.seconds(86_400)

    private struct State {
        var keys: TokenKeySet?
        var readAt = ContinuousClock.now
    }

    private let state = Mutex(State())
    private let fetch: (@Sendable () async throws -> TokenKeySet)?
    private let refresh: Duration
    private let pause: Duration
    private let logger: Logger
    private var lookedAt: ContinuousClock.Instant?
    private var look: Task<Void, Never>?

    /// Keys that never change.
    public init(fixed keys: TokenKeySet) {
        fetch = nil
        refresh = .seconds(86_400)
        pause = KeySource.pause
        logger = Logger(label: "ferry")
        state.withLock { $0.keys = keys }
    }

    /// Keys that are read.
    ///
    /// - Parameters:
    ///   - keys: Those that are known at the start, or `nil`.
    ///   - refresh: How often they are read again.
    ///   - logger: For what goes wrong.
    ///   - fetch: Reads them; it must end within a few seconds.
    public init(
        initial keys: TokenKeySet?, refresh: Duration, logger: Logger,
        fetch: @escaping @Sendable () async throws -> TokenKeySet
    ) {
        self.init(initial: keys, refresh: refresh, pause: KeySource.pause, logger: logger, fetch: fetch)
    }

    init(
        initial keys: TokenKeySet?, refresh: Duration, pause: Duration, logger: Logger,
        fetch: @escaping @Sendable () async throws -> TokenKeySet
    ) {
        self.fetch = fetch
        self.refresh = refresh
        self.pause = pause
        self.logger = logger
        state.withLock { $0.keys = keys }
    }

    /// Reads the keys every so often, until shutdown.
    public func run() async throws {
        guard fetch != nil else { return try await gracefulShutdown() }
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await self.lookAgain()
                try? await Task.sleep(for: self.refresh)
            }
        }
    }

    /// The keys as they are known now; `nil` when none could be read, or not for too long.
    nonisolated var current: TokenKeySet? {
        state.withLock { state in
            fetch == nil || ContinuousClock.now < state.readAt + KeySource.staleLimit ? state.keys : nil
        }
    }

    /// Whether looking again can bring other keys.
    nonisolated var canChange: Bool { fetch != nil }

    /// Reads the keys again, unless that was done just now; returns when it is done.
    func lookAgain() async {
        guard let fetch else { return }
        if let look { return await look.value }
        if let lookedAt, ContinuousClock.now < lookedAt + pause { return }
        lookedAt = .now
        // Owner: this actor. A task of its own, since one of those who wait for it may be cancelled; it ends with the
        // bounds of `fetch`.
        let task = Task {
            do {
                let keys = try await fetch()
                state.withLock { $0 = State(keys: keys) }
            } catch {
                logger.warning("the keys of tokens cannot be read", metadata: ["error": "\(error)"])
            }
        }
        look = task
        await task.value
        look = nil
    }
}
