import Emulator
import FunctionKit
import Glibc
import Host
import Logging
import NIOPosix
import RedisClient

/// What `ferry doctor` looks at in Redis.
struct RedisCheck: Sendable {
    /// The oldest server whose commands the queues' scripts use: `LPOS` came with it.
    private static let oldest = [6, 0, 6]
    /// The oldest server that BullMQ's clients recommend.
    private static let recommended = [6, 2]

    private let configuration: Configuration
    private let dataFolder: String

    init(_ configuration: Configuration, _ dataFolder: String) {
        self.configuration = configuration
        self.dataFolder = dataFolder
    }

    func findings() async -> [Finding] {
        do {
            let running = try await PrivateRedis.runningURL(dataFolder: dataFolder)
            guard let url = configuration.redis.url?.value ?? running else { return [embedded()] }
            var settings = try RedisConfiguration(url: url)
            settings.connectTimeout = .seconds(2)
            settings.commandTimeout = .seconds(2)
            let client = RedisClient(settings, group: .singleton, logger: Logger(label: "ferry"))
            let result: Result<[Finding], any Error>
            do {
                result = .success(try await ask(client))
            } catch {
                result = .failure(error)
            }
            await client.close()
            return try result.get()
        } catch {
            let mend =
                configuration.redis.url == nil
                ? "look into \(dataFolder)/redis, and start a host with \"ferry serve\""
                : "check redis.url (or REDIS_URL), that the server runs, its password, and what is between"
            return [.failed("redis", "\(error)", mend: mend)]
        }
    }

    /// What a host would start.
    private func embedded() -> Finding {
        let names =
            configuration.redis.server.map { [$0] }
            ?? folders.flatMap { folder in
                ["redis-server", "valkey-server"].map { "\(folder)/\($0)" }
            }
        guard let program = names.first(where: { access($0, X_OK) == 0 }) else {
            return .failed(
                "redis", "none is configured, and there is no redis-server to start",
                mend: "install redis-server, name it in redis.server, or set redis.url")
        }
        return .ok("redis", "not running; a host starts \(program) with its data in \(dataFolder)/redis")
    }

    private var folders: [String] {
        getenv("PATH").map { String(cString: $0).split(separator: ":").map(String.init) } ?? []
    }

    private func ask(_ client: RedisClient) async throws -> [Finding] {
        let info = Self.fields(try await client.send(["INFO"]).string ?? "")
        let before = Timestamp.now
        let time = try await client.send(["TIME"]).array ?? []
        let after = Timestamp.now
        var findings = [version(info), memory(info), persistence(info)]
        if time.count == 2, let seconds = time[0].integer, let micros = time[1].integer {
            let middle = (before.milliseconds + after.milliseconds) / 2
            findings.append(
                HostCheck.clock(
                    "Redis", skew: .milliseconds(seconds * 1000 + micros / 1000 - middle),
                    precision: .milliseconds(after.milliseconds - before.milliseconds)))
        }
        return findings
    }

    /// The lines `name:value` of `INFO`.
    private static func fields(_ text: String) -> [String: String] {
        text.split(whereSeparator: \.isNewline).reduce(into: [:]) { fields, line in
            let pair = line.split(separator: ":", maxSplits: 1)
            if pair.count == 2 { fields[String(pair[0])] = String(pair[1]) }
        }
    }

    private func version(_ info: [String: String]) -> Finding {
        let version = info["redis_version"] ?? ""
        let numbers = version.split(separator: ".").prefix(3).compactMap { Int($0) }
        guard numbers.count == 3 else {
            return .warning("redis", "answers, and does not tell its version", mend: "use Redis 6.2 or later")
        }
        guard !numbers.lexicographicallyPrecedes(Self.oldest) else {
            return .failed("redis", "version \(version)", mend: "use Redis 6.2 or later")
        }
        guard !numbers.lexicographicallyPrecedes(Self.recommended) else {
            return .warning("redis", "version \(version)", mend: "use Redis 6.2 or later, as BullMQ recommends")
        }
        return .ok("redis", "version \(version)")
    }

    private func memory(_ info: [String: String]) -> Finding {
        let policy = info["maxmemory_policy"] ?? "unknown"
        guard policy != "noeviction" else { return .ok("redis memory", "maxmemory-policy noeviction") }
        let mend = "CONFIG SET maxmemory-policy noeviction: jobs and records must not be thrown away"
        if info["maxmemory"] == "0" {
            return .warning("redis memory", "maxmemory-policy \(policy), without a limit so far", mend: mend)
        }
        return .failed("redis memory", "maxmemory-policy \(policy)", mend: mend)
    }

    private func persistence(_ info: [String: String]) -> Finding {
        if info["aof_enabled"] == "1" { return .ok("redis persistence", "appendonly yes") }
        return .warning(
            "redis persistence", "appendonly no: after a crash, jobs of the last minutes are lost",
            mend: "CONFIG SET appendonly yes, and the same in redis.conf")
    }
}
