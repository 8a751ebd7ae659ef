import FunctionKit
import Testing

/// What every driver of the history must do. A new driver is tested by running each case on a fresh, empty store:
///
/// ```swift
/// @Test(arguments: HistoryConformance.allCases)
/// func conforms(_ rule: HistoryConformance) async throws { try await rule.check(on: makeEmptyStore()) }
/// ```
enum HistoryConformance: String, CaseIterable, Sendable {
    case keepsEveryFieldOfAJob
    case keepsEveryFieldOfAFinishedJob
    case doesNotFindAnUnknownJob
    case refusesASecondJobOfTheSameID
    case updatesOnlyInTheRoundAndStatesNamed
    case keepsArchiveAndExpiryThatAChangeDoesNotName
    case clearsTheErrorThatAChangeDoesNotName
    case refusesResultsOfAnotherRound
    case overwritesResultsAndKeepsTheOrder
    case listsByAgeAndState
    case listsByExpiryAndState
    case removesWithItsFilesOnlyInTheRoundAndStatesNamed
    case beginsARoundAsIfTheJobWereNew
    case beginsARoundOnlyInTheRoundAndStatesNamed
    case oneOfManyConcurrentRoundsBegins
    case oneOfManyConcurrentUpdatesWins
    case takesConcurrentInsertsWithOneDuplicateAmongThem
    case raisesARoundAndCountsIt
    case listsOnlyWhatIsBehindAPlace
    case listsAnOwnersJobsNewestFirst
    case listsByTheStatusThatTimeHasMade
    case sumsTheResultsOfListedJobs
    case acceptsOneJobUnderAKey
    case keepsTheKeysOfOwnersApart
    case forgetsAKeyWithItsTimeAndItsJob
    case acceptsOneOfManyConcurrentJobsUnderAKey
    case leasesToOneAtATime
    case keepsEveryFieldOfACallback
    case listsCallbacksThatAreDue
    case recordsCallbacksOnlyOfWhatIsTold
    case makesTheNextCallbackDueWithAChange
    case canCheckThatItCommits

    func check(on store: any HistoryStore) async throws {
        switch self {
        case .keepsEveryFieldOfAJob: try await keepsEveryFieldOfAJob(store)
        case .keepsEveryFieldOfAFinishedJob: try await keepsEveryFieldOfAFinishedJob(store)
        case .doesNotFindAnUnknownJob: try await doesNotFindAnUnknownJob(store)
        case .refusesASecondJobOfTheSameID: try await refusesASecondJobOfTheSameID(store)
        case .updatesOnlyInTheRoundAndStatesNamed: try await updatesOnlyInTheRoundAndStatesNamed(store)
        case .keepsArchiveAndExpiryThatAChangeDoesNotName: try await keepsArchiveAndExpiry(store)
        case .clearsTheErrorThatAChangeDoesNotName: try await clearsTheError(store)
        case .refusesResultsOfAnotherRound: try await refusesResultsOfAnotherRound(store)
        case .overwritesResultsAndKeepsTheOrder: try await overwritesResultsAndKeepsTheOrder(store)
        case .listsByAgeAndState: try await listsByAgeAndState(store)
        case .listsByExpiryAndState: try await listsByExpiryAndState(store)
        case .removesWithItsFilesOnlyInTheRoundAndStatesNamed: try await removesWithItsFiles(store)
        case .beginsARoundAsIfTheJobWereNew: try await beginsARoundAsIfTheJobWereNew(store)
        case .beginsARoundOnlyInTheRoundAndStatesNamed: try await beginsARoundOnlyWhereNamed(store)
        case .oneOfManyConcurrentRoundsBegins: try await oneOfManyConcurrentRoundsBegins(store)
        case .oneOfManyConcurrentUpdatesWins: try await oneOfManyConcurrentUpdatesWins(store)
        case .takesConcurrentInsertsWithOneDuplicateAmongThem: try await takesConcurrentInserts(store)
        case .raisesARoundAndCountsIt: try await raisesARound(store)
        case .listsOnlyWhatIsBehindAPlace: try await listsBehindAPlace(store)
        case .listsAnOwnersJobsNewestFirst: try await listsAnOwnersJobs(store)
        case .listsByTheStatusThatTimeHasMade: try await listsByStatusAtATime(store)
        case .sumsTheResultsOfListedJobs: try await sumsResults(store)
        case .acceptsOneJobUnderAKey: try await acceptsOneJobUnderAKey(store)
        case .keepsTheKeysOfOwnersApart: try await keepsKeysApart(store)
        case .forgetsAKeyWithItsTimeAndItsJob: try await forgetsKeys(store)
        case .acceptsOneOfManyConcurrentJobsUnderAKey: try await acceptsOneOfMany(store)
        case .leasesToOneAtATime: try await leases(store)
        case .keepsEveryFieldOfACallback: try await keepsEveryFieldOfACallback(store)
        case .listsCallbacksThatAreDue: try await listsDueCallbacks(store)
        case .recordsCallbacksOnlyOfWhatIsTold: try await recordsCallbacks(store)
        case .makesTheNextCallbackDueWithAChange: try await makesCallbacksDue(store)
        case .canCheckThatItCommits:
            try await store.check()
            try await store.check()
        }
    }

    static func job(
        _ id: String, at milliseconds: Int64 = 1_000, owner: String? = nil, status: String = "queued", round: Int = 1
    ) -> HistoryJob {
        HistoryJob(
            id: id, owner: owner, round: round, status: status, fileIDs: [70_000, 70_001], options: "{}",
            createdAt: Timestamp(milliseconds: milliseconds), updatedAt: Timestamp(milliseconds: milliseconds))
    }

    static func file(
        _ id: Int64, _ position: Int, _ status: String, error: String? = nil
    ) -> HistoryFile {
        HistoryFile(
            fileID: id, position: position, status: status, key: "downloads/\(id).zip",
            sizeBytes: status == "completed" ? 5_000_000_000 : nil, crc32: status == "completed" ? UInt32.max : nil,
            error: error, processedAt: Timestamp(milliseconds: 77))
    }

    private func keepsEveryFieldOfAJob(_ store: any HistoryStore) async throws {
        let job = HistoryJob(
            id: "j", owner: "ann o'nym \"ü\"\u{1F6A2}", round: 1, status: "queued",
            fileIDs: [100_000_000, 10_000, 70_000], options: #"{"archiveName":"ü.zip"}"#,
            createdAt: Timestamp(milliseconds: 1_795_438_672_063), updatedAt: Timestamp(milliseconds: 5))
        try await store.insert(job)
        #expect(try await store.find("j") == job)
        #expect(try await store.files(of: "j").isEmpty)
    }

    private func keepsEveryFieldOfAFinishedJob(_ store: any HistoryStore) async throws {
        let job = HistoryJob(
            id: "j", owner: nil, round: 3, status: "ready", fileIDs: [], options: "{}",
            createdAt: Timestamp(milliseconds: 1), updatedAt: Timestamp(milliseconds: 2),
            expiresAt: Timestamp(milliseconds: 3),
            archive: HistoryArchive(key: "archives/j/3-1.zip", sizeBytes: 1 << 42, crc32: 0xFFFF_FFFF), error: "e")
        try await store.insert(job)
        #expect(try await store.find("j") == job)
    }

    private func doesNotFindAnUnknownJob(_ store: any HistoryStore) async throws {
        #expect(try await store.find("nobody") == nil)
        #expect(try await store.files(of: "nobody").isEmpty)
        let change = HistoryChange(status: "ready", at: Timestamp(milliseconds: 9))
        #expect(try await !store.update("nobody", round: 1, from: ["queued"], change: change))
        #expect(try await !store.record([Self.file(70_000, 0, "failed")], of: "nobody", round: 1))
    }

    private func refusesASecondJobOfTheSameID(_ store: any HistoryStore) async throws {
        try await store.insert(Self.job("j", owner: "first"))
        let error = await #expect(throws: (any Error).self) { try await store.insert(Self.job("j", owner: "second")) }
        #expect((error as? any ClassifiedError)?.isUnavailable == false)
        #expect(try await store.find("j")?.owner == "first")
    }

    private func updatesOnlyInTheRoundAndStatesNamed(_ store: any HistoryStore) async throws {
        try await store.insert(Self.job("j", round: 2))
        let change = HistoryChange(status: "processing", at: Timestamp(milliseconds: 2_000))
        #expect(try await !store.update("j", round: 1, from: ["queued"], change: change))
        #expect(try await !store.update("j", round: 3, from: ["queued"], change: change))
        #expect(try await !store.update("j", round: 2, from: ["processing", "ready"], change: change))
        #expect(try await !store.update("j", round: 2, from: [], change: change))
        #expect(try await store.find("j") == Self.job("j", round: 2))
        #expect(try await store.update("j", round: 2, from: ["failed", "queued"], change: change))
        let found = try await store.find("j")
        #expect(found?.status == "processing")
        #expect(found?.updatedAt == change.at)
    }

    private func keepsArchiveAndExpiry(_ store: any HistoryStore) async throws {
        try await store.insert(Self.job("j"))
        let archive = HistoryArchive(key: "k", sizeBytes: 1, crc32: 2)
        let ready = HistoryChange(
            status: "ready", at: Timestamp(milliseconds: 2_000), expiresAt: Timestamp(milliseconds: 9_000),
            archive: archive)
        #expect(try await store.update("j", round: 1, from: ["queued"], change: ready))
        let expired = HistoryChange(status: "expired", at: Timestamp(milliseconds: 9_000))
        #expect(try await store.update("j", round: 1, from: ["ready"], change: expired))
        let found = try await store.find("j")
        #expect(found?.archive == archive)
        #expect(found?.expiresAt == Timestamp(milliseconds: 9_000))
    }

    private func clearsTheError(_ store: any HistoryStore) async throws {
        try await store.insert(Self.job("j"))
        let at = Timestamp(milliseconds: 2_000)
        _ = try await store.update(
            "j", round: 1, from: ["queued"], change: HistoryChange(status: "queued", at: at, error: "once"))
        #expect(try await store.find("j")?.error == "once")
        _ = try await store.update("j", round: 1, from: ["queued"], change: HistoryChange(status: "processing", at: at))
        #expect(try await store.find("j")?.error == nil)
    }

    private func refusesResultsOfAnotherRound(_ store: any HistoryStore) async throws {
        try await store.insert(Self.job("j", round: 2))
        #expect(try await !store.record([Self.file(70_000, 0, "completed")], of: "j", round: 1))
        #expect(try await store.files(of: "j").isEmpty)
        #expect(try await store.record([Self.file(70_000, 0, "completed")], of: "j", round: 2))
        #expect(try await store.files(of: "j").count == 1)
    }

    private func overwritesResultsAndKeepsTheOrder(_ store: any HistoryStore) async throws {
        try await store.insert(Self.job("j"))
        let second = Self.file(10_000, 1, "failed", error: "gone")
        #expect(try await store.record([second, Self.file(70_000, 0, "pending")], of: "j", round: 1))
        let first = Self.file(70_000, 0, "completed")
        #expect(try await store.record([first], of: "j", round: 1))
        #expect(try await store.files(of: "j") == [first, second])
        #expect(try await store.record([], of: "j", round: 1))
    }

    private func listsByAgeAndState(_ store: any HistoryStore) async throws {
        try await store.insert(Self.job("c", at: 300))
        try await store.insert(Self.job("a", at: 100))
        try await store.insert(Self.job("b", at: 200, status: "processing"))
        try await store.insert(Self.job("d", at: 150, status: "ready"))
        func ids(_ states: Set<String>, before: Int64, limit: Int = 10) async throws -> [String] {
            try await store.list(states: states, changedBefore: Timestamp(milliseconds: before), limit: limit).map(\.id)
        }
        #expect(try await ids(["queued", "processing"], before: 1_000) == ["a", "b", "c"])
        #expect(try await ids(["queued", "processing"], before: 300) == ["a", "b"])
        #expect(try await ids(["queued", "processing"], before: 1_000, limit: 1) == ["a"])
        #expect(try await ids(["ready"], before: 1_000) == ["d"])
        #expect(try await ids([], before: 1_000).isEmpty)
        #expect(try await ids(["ready"], before: 1_000, limit: 0).isEmpty)
    }

    private func oneOfManyConcurrentUpdatesWins(_ store: any HistoryStore) async throws {
        try await store.insert(Self.job("j"))
        let winners = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<100 {
                group.addTask {
                    let change = HistoryChange(
                        status: "ready", at: Timestamp(milliseconds: 2_000),
                        archive: HistoryArchive(key: "k\(number)", sizeBytes: 1, crc32: 1))
                    return try await store.update("j", round: 1, from: ["queued", "processing"], change: change)
                }
            }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(winners == 1)
    }

    private func takesConcurrentInserts(_ store: any HistoryStore) async throws {
        try await store.insert(Self.job("j50", owner: "early"))
        let refused = await withTaskGroup(of: String?.self) { group in
            for number in 0..<100 {
                group.addTask {
                    do {
                        try await store.insert(Self.job("j\(number)"))
                        return nil
                    } catch {
                        return "j\(number)"
                    }
                }
            }
            return await group.reduce(into: [String]()) { refused, id in if let id { refused.append(id) } }
        }
        #expect(refused == ["j50"])
        for number in 0..<100 { #expect(try await store.find("j\(number)") != nil) }
        #expect(try await store.find("j50")?.owner == "early")
    }
}
