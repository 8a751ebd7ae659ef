internal import Downloads
internal import Logging

extension Configuration {
    /// Every problem of a configuration.
    public struct Invalid: Error, Sendable, CustomStringConvertible {
        /// The problems, in the order of the file, then those of the environment.
        public let problems: [FileProblem]

        /// One problem a line.
        public var description: String { problems.map(\.description).joined(separator: "\n") }
    }

    /// Reads the defaults, a file and the environment, each over the one before.
    ///
    /// - Parameters:
    ///   - file: The file, or `nil` for `config.json` in the working folder, which may be absent.
    ///   - environment: The environment's variables.
    /// - Returns: The configuration.
    /// - Throws: ``Invalid`` with every problem.
    public static func load(file: String?, environment: [String: String]) throws(Invalid) -> Configuration {
        var configuration = Configuration()
        var problems: [FileProblem] = []
        let path = file ?? "config.json"
        do {
            if let bytes = try contents(of: path, mayBeAbsent: file == nil) {
                var reader = StrictReader()
                configuration.apply(try PositionedJSON.parse(bytes), with: &reader)
                problems += FileProblem.problems(of: reader, in: path)
            }
        } catch let error as PositionedJSON.SyntaxError {
            problems.append(FileProblem(error, in: path))
        } catch {
            problems.append(FileProblem(file: path, reason: "cannot be read: \(error)"))
        }
        for variable in EnvironmentVariable.all {
            guard let text = environment[variable.name], !text.isEmpty else { continue }
            var reader = StrictReader()
            configuration.apply(variable.json(text), with: &reader)
            problems += reader.problems.map {
                FileProblem(file: "environment variable \(variable.name)", reason: $0.reason)
            }
        }
        if let problem = configuration.identityProblem { problems.append(FileProblem(file: path, reason: problem)) }
        guard problems.isEmpty else { throw Invalid(problems: problems) }
        return configuration
    }

    private static func contents(of path: String, mayBeAbsent: Bool) throws -> [UInt8]? {
        if mayBeAbsent, !FileSystem.isFile(path) { return nil }
        return try FileSystem.read(path, mayBePipe: true)
    }

    private static let day = Duration.seconds(86_400)

    private mutating func apply(_ json: PositionedJSON, with reader: inout StrictReader) {
        let keys = [
            "http", "cors", "redis", "storage", "history", "queue", "log", "downloads", "admin", "record", "isolation",
            "identity", "limits", "openapi",
        ]
        guard let root = reader.object(json, keys: keys) else { return }
        applyHTTP(root, with: &reader)
        applyCORS(root, with: &reader)
        applyRedis(root, with: &reader)
        applyStorage(root, with: &reader)
        applyHistory(root, with: &reader)
        applyQueue(root, with: &reader)
        applyLog(root, with: &reader)
        applyDownloads(root, with: &reader)
        applyAdmin(root, with: &reader)
        applyRecord(root, with: &reader)
        applyIsolation(root, with: &reader)
        applyIdentity(root, with: &reader)
        applyLimits(root, with: &reader)
        applyOpenAPI(root, with: &reader)
    }

    private mutating func applyHTTP(_ root: StrictReader.Object, with reader: inout StrictReader) {
        let keys = [
            "listen", "loops", "backlog", "maxConnections", "maxHeaderBytes", "maxHeaderFields", "headTimeout",
            "bodyTimeout", "bodyPauseTimeout", "idleTimeout", "writePauseTimeout", "drainTimeout", "heartbeat",
            "reconnectDelay", "pingInterval", "trustedProxies", "accessLog", "tls",
        ]
        guard let section = reader.object(root, "http", keys: keys) else { return }
        let addresses = reader.value(section, "listen", "an array of addresses such as \"127.0.0.1:3000\"") { json in
            let texts = json.elements?.map { $0.string.flatMap(ListenAddress.init) } ?? [nil]
            let addresses = texts.compactMap(\.self)
            return addresses.count == texts.count && !addresses.isEmpty ? addresses : nil
        }
        set(&http.addresses, addresses)
        set(&loopCount, reader.integer(section, "loops", in: 1...256))
        set(&http.backlog, reader.integer(section, "backlog", in: 1...65_535))
        set(&http.maxConnectionCount, reader.integer(section, "maxConnections", in: 1...1_000_000))
        set(&http.maxHeadBytes, reader.byteCount(section, "maxHeaderBytes", in: 1024...1 << 20))
        set(&http.maxFieldCount, reader.integer(section, "maxHeaderFields", in: 8...10_000))
        let short = Duration.milliseconds(50)...Duration.seconds(3600)
        set(&http.headTimeout, reader.duration(section, "headTimeout", in: short))
        set(&http.bodyTimeout, reader.duration(section, "bodyTimeout", in: short))
        set(&http.bodyPauseTimeout, reader.duration(section, "bodyPauseTimeout", in: short))
        set(&http.idleTimeout, reader.duration(section, "idleTimeout", in: short))
        set(&http.writePauseTimeout, reader.duration(section, "writePauseTimeout", in: short))
        set(&http.heartbeat, reader.duration(section, "heartbeat", in: short))
        set(&http.reconnectDelay, reader.duration(section, "reconnectDelay", in: .zero...(.seconds(3600))))
        set(&http.pingInterval, reader.duration(section, "pingInterval", in: short))
        set(&http.drainTimeout, reader.duration(section, "drainTimeout", in: .zero...(.seconds(3600))))
        let proxies = reader.value(section, "trustedProxies", "an array of addresses, networks or \"unix\"") { json in
            let texts = json.elements?.compactMap(\.string)
            return texts?.count == json.elements?.count ? texts.flatMap { TrustedProxies($0) } : nil
        }
        set(&http.trustedProxies, proxies)
        if let files = reader.object(section, "tls", keys: ["certificate", "key"]) {
            let (certificate, key) = (reader.string(files, "certificate"), reader.string(files, "key"))
            for name in ["certificate", "key"] where files.json[name] == nil {
                reader.report(files.json, files.path(of: name), "is required")
            }
            if let certificate, let key { tls = TLS(certificate: certificate, key: key) }
        }
        if let isLogged = reader.bool(section, "accessLog") { http.accessLogLevel = isLogged ? .info : nil }
    }

    private mutating func applyCORS(_ root: StrictReader.Object, with reader: inout StrictReader) {
        guard let section = reader.object(root, "cors", keys: ["origins", "maxAge"]) else { return }
        if let origins = reader.strings(section, "origins") {
            if origins == ["*"] {
                http.cors.origins = .any
            } else if origins.contains("*") {
                reader.report(
                    section.json, section.path(of: "origins"), "must be [\"*\"] alone or a list without \"*\"")
            } else {
                http.cors.origins = origins.isEmpty ? .none : .list(Set(origins))
            }
        }
        set(&http.cors.maxAge, reader.duration(section, "maxAge", in: .zero...Configuration.day))
    }

    private mutating func applyRedis(_ root: StrictReader.Object, with reader: inout StrictReader) {
        guard let section = reader.object(root, "redis", keys: ["url", "commandTimeout", "server"]) else { return }
        let schemes = ["redis://", "rediss://", "unix:"]
        let url = reader.value(section, "url", "a URL that begins with redis://, rediss:// or unix:") { json in
            json.string.flatMap { text in schemes.contains { text.hasPrefix($0) } ? Secret(text) : nil }
        }
        set(&redis.url, url)
        set(&redis.commandTimeout, reader.duration(section, "commandTimeout", in: .milliseconds(50)...(.seconds(60))))
        set(&redis.server, reader.string(section, "server"))
    }

    private mutating func applyStorage(_ root: StrictReader.Object, with reader: inout StrictReader) {
        let keys = [
            "endpoint", "publicEndpoint", "region", "bucket", "addressing", "accessKeyID", "secretAccessKey",
            "sessionToken", "timeout", "attempts", "retryDelay", "retryMaxDelay", "port",
        ]
        guard let section = reader.object(root, "storage", keys: keys) else { return }
        func url(_ key: String) -> String? {
            reader.value(section, key, "a URL that begins with http:// or https://") { json in
                json.string.flatMap { $0.hasPrefix("http://") || $0.hasPrefix("https://") ? $0 : nil }
            }
        }
        set(&storage.endpoint, url("endpoint"))
        set(&storage.publicEndpoint, url("publicEndpoint"))
        set(&storage.region, reader.string(section, "region"))
        let bucket = reader.value(section, "bucket", "a bucket's name, 3 to 63 of a-z, 0-9, \".\" and \"-\"") { json in
            json.string.flatMap { Configuration.isBucketName($0) ? $0 : nil }
        }
        set(&storage.bucket, bucket)
        set(&storage.addressing, reader.choice(section, "addressing"))
        set(&storage.accessKeyID, reader.string(section, "accessKeyID"))
        set(&storage.secretAccessKey, reader.string(section, "secretAccessKey").map(Secret.init))
        set(&storage.sessionToken, reader.string(section, "sessionToken").map(Secret.init))
        set(&storage.timeout, reader.duration(section, "timeout", in: .milliseconds(100)...(.seconds(3600))))
        set(&storage.attempts, reader.integer(section, "attempts", in: 1...20))
        set(&storage.retryDelay, reader.duration(section, "retryDelay", in: .milliseconds(1)...(.seconds(60))))
        set(&storage.retryMaxDelay, reader.duration(section, "retryMaxDelay", in: .milliseconds(1)...(.seconds(600))))
        set(&storage.port, reader.integer(section, "port", in: 0...65_535))
    }

    private static func isBucketName(_ text: String) -> Bool {
        let isPlain = text.utf8.allSatisfy {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
        }
        return isPlain && (3...63).contains(text.utf8.count) && !text.hasPrefix("-") && !text.hasPrefix(".")
    }

    private mutating func applyQueue(_ root: StrictReader.Object, with reader: inout StrictReader) {
        let keys = ["prefix", "lockDuration", "stalledCheck", "stalledGate", "maxStalledCount", "scheduleCheck"]
        guard let section = reader.object(root, "queue", keys: keys) else { return }
        let prefix = reader.value(section, "prefix", "a text that is not empty and holds no colon") { json in
            json.string.flatMap { $0.isEmpty || $0.contains(":") ? nil : $0 }
        }
        set(&queue.prefix, prefix)
        let range = Duration.milliseconds(100)...Duration.seconds(3600)
        set(&queue.lockDuration, reader.duration(section, "lockDuration", in: range))
        set(&queue.stalledCheck, reader.duration(section, "stalledCheck", in: range))
        set(&queue.stalledGate, reader.duration(section, "stalledGate", in: range))
        set(&queue.maxStalledCount, reader.integer(section, "maxStalledCount", in: 0...1000))
        set(&queue.scheduleCheck, reader.duration(section, "scheduleCheck", in: .milliseconds(100)...(.seconds(60))))
    }

    private mutating func applyLog(_ root: StrictReader.Object, with reader: inout StrictReader) {
        guard let section = reader.object(root, "log", keys: ["level", "format", "file", "keep"]) else { return }
        let names = Logger.Level.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
        set(
            &log.level,
            reader.value(section, "level", "one of \(names)") { json in
                json.string.flatMap { Logger.Level(rawValue: $0) }
            })
        set(&log.format, reader.choice(section, "format"))
        set(&log.file, reader.bool(section, "file"))
        set(&log.keptBytes, reader.byteCount(section, "keep", in: 64 << 10...1 << 30))
    }

    func set<Value>(_ target: inout Value, _ value: Value?) {
        if let value { target = value }
    }

    func set<Value>(_ target: inout Value?, _ value: Value?) {
        if let value { target = value }
    }
}
