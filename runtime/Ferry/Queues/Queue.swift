import ArgumentParser

/// `ferry queue`: queues by hand.
struct Queue: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at queues and change them by hand.",
        discussion: """
            Works on any BullMQ queue of the configured Redis, whoever produces and works its jobs. Without a configured \
            Redis it is the private redis-server of the data folder, which must be running: a host runs it.

            Examples:
              ferry queue ls
              ferry queue peek mail --state delayed
              REDIS_URL=redis://cache/2 ferry queue add mail -d '{"to":"ada"}'
            """,
        subcommands: [
            QueueList.self, QueuePeek.self, QueueAdd.self, QueuePause.self, QueueResume.self, QueueDrain.self,
            QueuePromote.self,
        ])
}
