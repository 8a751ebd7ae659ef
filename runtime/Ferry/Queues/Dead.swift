import ArgumentParser

/// `ferry dead`: dead letters, the jobs that failed for good.
struct Dead: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at failed jobs, mend them, retry them or throw them away.",
        discussion: """
            A dead letter is a job that has used up its attempts, or failed in a way that no attempt can help. It stays \
            in its queue until somebody retries or purges it, or the queue's own rule removes it.

            Examples:
              ferry dead ls
              ferry dead show mail 42
              ferry dead edit mail 42 -d '{"to":"ada@example.org"}' && ferry dead retry mail 42
            """,
        subcommands: [DeadList.self, DeadShow.self, DeadEdit.self, DeadRetry.self, DeadPurge.self])
}
