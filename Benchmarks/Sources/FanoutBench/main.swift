// Watches jobs of a host over as many connections as asked for, then publishes to them and measures how long it takes
// from publish to receipt. Send and receipt are in this process, so one clock tells both.
//
// usage: fanout-bench ws|sse PORT REDIS_SOCKET JOBS_FILE WATCHERS PUBLISHES_PER_SECOND SECONDS
//
// JOBS_FILE has a job's id a line; watcher n follows job n modulo their number. Prints a line of JSON when all watchers
// have their first message, waits for a line on standard input, publishes, and prints a line of JSON with the figures.

import Glibc
import NIOCore
import NIOPosix

func say(_ line: String, to descriptor: CInt = STDOUT_FILENO) {
    _ = (line + "\n").withCString { write(descriptor, $0, strlen($0)) }
}

func fail(_ text: String) -> Never {
    say("fanout-bench: \(text)", to: STDERR_FILENO)
    exit(1)
}

let arguments = CommandLine.arguments
guard arguments.count == 8, let transport = Watcher.Transport(rawValue: arguments[1]), let port = Int(arguments[2]),
    let watcherCount = Int(arguments[5]), let perSecond = Int(arguments[6]), let seconds = Int(arguments[7]),
    watcherCount > 0, perSecond > 0, seconds > 0
else { fail("usage: fanout-bench ws|sse PORT REDIS_SOCKET JOBS_FILE WATCHERS PUBLISHES_PER_SECOND SECONDS") }

var limit = rlimit()
getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
limit.rlim_cur = limit.rlim_max
setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
guard Int(clamping: limit.rlim_cur) > watcherCount + 64 else {
    fail("\(limit.rlim_cur) open files are allowed, too few for \(watcherCount) watchers")
}

guard let file = fopen(arguments[4], "r") else { fail("\(arguments[4]) cannot be read") }
var text = ""
while let line = readLine(from: file) { text += line }
fclose(file)
let jobs = text.split(separator: "\n")
guard !jobs.isEmpty else { fail("\(arguments[4]) names no job") }

func readLine(from file: UnsafeMutablePointer<FILE>) -> String? {
    var bytes = [CChar](repeating: 0, count: 256)
    guard fgets(&bytes, CInt(bytes.count), file) != nil else { return nil }
    return String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}

/// Opens the watchers' connections, a limited number at a time, from several addresses of the loopback network.
func connectAll(on loop: any EventLoop, tally: NIOLoopBound<Tally>) async throws {
    let remote = try SocketAddress(ipAddress: "127.0.0.1", port: port)
    func connect(_ number: Int) async throws {
        let local = try SocketAddress(ipAddress: "127.0.0.\(2 + number % 8)", port: 0)
        _ = try await ClientBootstrap(group: loop)
            .bind(to: local)
            .connectTimeout(.seconds(20))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 4096))
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let watcher = Watcher(
                        number, job: jobs[number % jobs.count], transport: transport, tally: tally.value)
                    try channel.pipeline.syncOperations.addHandler(watcher)
                }
            }
            .connect(to: remote).get()
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<watcherCount {
            if number >= 256 { try await group.next() }
            group.addTask { try await connect(number) }
        }
        try await group.waitForAll()
    }
}

/// Waits until a condition holds on the watchers' loop.
func wait(
    _ loop: any EventLoop, seconds: Int, until condition: @escaping @Sendable () -> Bool
) async throws -> Bool {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while try await !loop.submit(condition).get() {
        guard .now < deadline else { return false }
        try await Task.sleep(for: .milliseconds(20))
    }
    return true
}

let total = perSecond * seconds
let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
let publishing = MultiThreadedEventLoopGroup(numberOfThreads: 1)
let loop = group.next()
let expected = total / jobs.count * watcherCount + watcherCount
let tally = try await loop.submit {
    NIOLoopBound(Tally(watcherCount: watcherCount, expectedCount: expected), eventLoop: loop)
}.get()

try await connectAll(on: loop, tally: tally)
let isReady = try await wait(loop, seconds: 60) { tally.value.readyCount == watcherCount || tally.value.problem != nil }
let (readyCount, problem) = try await loop.submit { (tally.value.readyCount, tally.value.problem) }.get()
guard isReady, problem == nil else {
    fail("\(readyCount) of \(watcherCount) watchers have a message; \(problem ?? "no problem was seen")")
}
say("{\"ready\": \(readyCount)}")
guard Swift.readLine() != nil else { exit(0) }

let finished = publishing.next().makePromise(of: Double.self)
_ = try await ClientBootstrap(group: publishing)
    .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
            let publisher = Publisher(jobs: jobs, perSecond: perSecond, total: total, finished: finished)
            try channel.pipeline.syncOperations.addHandler(publisher)
        }
    }
    .connect(unixDomainSocketPath: arguments[3]).get()
let elapsed = try await finished.futureResult.get()

/// Watchers that have not seen the last message of their job.
@Sendable func behindCount() -> Int {
    tally.value.lastSeqs.indices.count { watcher in
        let last = Publisher.lastSeq(job: watcher % jobs.count, jobCount: jobs.count, total: total)
        return tally.value.lastSeqs[watcher] < last
    }
}
_ = try await wait(loop, seconds: 10) { behindCount() == 0 }
let report = try await loop.submit {
    tally.value.json(publishCount: total, seconds: elapsed, behindCount: behindCount())
}.get()
say(report)
