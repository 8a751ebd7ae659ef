import Glibc
import Synchronization
import Testing

@testable import Host

struct InvocationPoolTests {
    private func executor(_ pool: HandlerPool, deadline: Duration = .seconds(60)) -> PoolExecutor {
        PoolExecutor(pool, function: "f", requestID: "r", deadline: .now + deadline)
    }

    @Test func runsTasksAndTheirChildrenOnItsThreads() async {
        let pool = HandlerPool(HandlerPool.Options(threadCount: 2)) { _ in }
        let outside = pthread_self()
        let sum = await Task(executorPreference: executor(pool)) {
            #expect(pthread_self() != outside)
            return await withTaskGroup(of: Int.self) { group in
                for index in 0..<1000 { group.addTask { index } }
                return await group.reduce(0, +)
            }
        }.value
        #expect(sum == 499_500)
        pool.shutDown()
        // Work that comes late is still done.
        #expect(await Task(executorPreference: executor(pool)) { 7 }.value == 7)
    }

    @Test func addsThreadsWhileAllAreBlocked() async {
        let pool = HandlerPool(
            HandlerPool.Options(threadCount: 2, spareCount: 4, tick: .milliseconds(10))
        ) { _ in }
        let release = Shared(false)
        let blocked = Shared(0)
        let tasks = (0..<6).map { _ in
            Task(executorPreference: executor(pool)) {
                blocked.update { $0 += 1 }
                while !release.value { usleep(1000) }
            }
        }
        await eventually("all six are in") { blocked.value == 6 }
        let late = Shared(false)
        let last = Task(executorPreference: executor(pool)) { late.update { $0 = true } }
        #expect(!late.value)
        release.update { $0 = true }
        for task in tasks { await task.value }
        await last.value
        #expect(pool.lostCount == 0)
        pool.shutDown()
    }

    @Test func reportsAThreadOnceAndTakesItBack() async {
        let reports = Mutex<[HandlerPool.LostThread]>([])
        let pool = HandlerPool(
            HandlerPool.Options(
                threadCount: 1, spareCount: 0, lostLimit: 0, grace: .milliseconds(50), tick: .milliseconds(10))
        ) { lost in reports.withLock { $0.append(lost) } }
        let release = Shared(false)
        let stuck = Task(executorPreference: executor(pool, deadline: .milliseconds(20))) {
            while !release.value { usleep(1000) }
        }
        await eventually("it is lost") { pool.lostCount == 1 }
        #expect(pool.isExhausted)
        let waiting = Task(executorPreference: executor(pool)) { 1 }
        release.update { $0 = true }
        await stuck.value
        // It was not replaced, so it goes back to work.
        #expect(await waiting.value == 1)
        await eventually("it is back") { pool.lostCount == 0 && !pool.isExhausted }
        let seen = reports.withLock { $0 }
        #expect(seen.count == 1)
        #expect(seen.first?.function == "f" && seen.first?.requestID == "r" && seen.first?.lostCount == 1)
        #expect((seen.first?.runningFor ?? .zero) >= .milliseconds(50))
        pool.shutDown()
    }
}
