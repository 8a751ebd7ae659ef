// Adds or drains no-op jobs of the queue "bench" and prints jobs and seconds as JSON. Connecting is not counted.
//
// usage: queue-bench SOCKET add JOBS BULK            adds jobs, BULK at a time; 1 adds one after the other
//        queue-bench SOCKET drain JOBS CONCURRENCY   has one worker complete as many jobs as there are

import BullQueue
import FunctionKit
import Glibc
import Logging
import NIOCore
import NIOPosix
import RedisClient
import Synchronization

let queue = "bench"

/// Runs tasks on an event loop.
final class LoopExecutor: TaskExecutor {
    let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

func add(_ jobCount: Int, bulk: Int, client: RedisClient) async throws {
    let policy = BullProducer.Policy(attempts: 0, backoff: nil)
    let producer = try BullProducer(queue: queue, client: client, policy: policy)
    if bulk == 1 {
        for number in 0..<jobCount {
            _ = try await producer.add("noop", data: "{\"n\":\(number)}", options: JobOptions())
        }
    } else {
        for first in stride(from: 0, to: jobCount, by: bulk) {
            let jobs = (first..<min(first + bulk, jobCount)).map {
                BullProducer.NewJob("noop", data: "{\"n\":\($0)}", options: BullJobOptions())
            }
            _ = try await producer.add(jobs)
        }
    }
}

func drain(_ jobCount: Int, concurrency: Int, client: RedisClient, loop: any EventLoop) async throws {
    var options = BullWorkerOptions()
    options.concurrency = concurrency
    options.handlersRunOnLoop = true
    // Those of the peer; no lock is renewed and no check made within a run, on either side.
    options.lockDuration = .seconds(30)
    options.stalledCheckInterval = .seconds(30)
    options.stalledCheckGate = .seconds(30)
    let worked = Atomic(0)
    let worker = try BullWorker(
        queue: queue, options: options, client: client, lockLoop: loop, logger: Logger(label: "bench")
    ) { _, _ in
        worked.add(1, ordering: .relaxed)
        return .completed("null")
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await worker.run() }
        // Counted when Redis has them all, so the last finish is in the time.
        let count = RedisCommand(["ZCARD", "bull:\(queue):completed"])
        while try await Int(client.send(count).integer ?? 0) < jobCount {
            try await Task.sleep(for: .milliseconds(worked.load(ordering: .relaxed) < jobCount ? 5 : 1))
        }
        worker.shutdown(grace: .zero)
        try await group.waitForAll()
    }
}

let arguments = CommandLine.arguments
guard arguments.count == 5, let jobCount = Int(arguments[3]), let size = Int(arguments[4]), jobCount > 0, size > 0,
    ["add", "drain"].contains(arguments[2])
else {
    _ = "usage: queue-bench SOCKET add|drain JOBS BULK|CONCURRENCY\n".withCString {
        write(STDERR_FILENO, $0, strlen($0))
    }
    exit(2)
}
let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
var configuration = try RedisConfiguration(url: "unix:" + arguments[1])
// As the host's own client for queues.
configuration.busyPoll = .microseconds(100)
let client = RedisClient(configuration, group: group, logger: Logger(label: "bench"))
try await client.check()
let start = ContinuousClock.now
// On the client's own loop, as a function with `"executor": "loop"`: no call changes threads. The peer has one thread, too.
let isAdding = arguments[2] == "add"
try await Task(executorPreference: LoopExecutor(group.next())) { @concurrent in
    if isAdding {
        try await add(jobCount, bulk: size, client: client)
    } else {
        try await drain(jobCount, concurrency: size, client: client, loop: group.next())
    }
}.value
let seconds = (ContinuousClock.now - start) / .seconds(1)
print("{\"jobs\": \(jobCount), \"seconds\": \(seconds)}")
await client.close()
try await group.shutdownGracefully()
