/// One variable of the environment that overrides a key of the configuration.
public struct EnvironmentVariable: Sendable {
    /// The variable's name.
    public let name: String
    /// The key's path, such as `redis.url`.
    public let key: String

    /// All of them. The AWS names besides are read by the store's own chain of credentials.
    public static let all: [EnvironmentVariable] = [
        EnvironmentVariable(name: "REDIS_URL", key: "redis.url"),
        EnvironmentVariable(name: "DATABASE_URL", key: "history.url"),
        EnvironmentVariable(name: "FERRY_HISTORY_URL", key: "history.url"),
        EnvironmentVariable(name: "S3_ENDPOINT", key: "storage.endpoint"),
        EnvironmentVariable(name: "S3_PUBLIC_ENDPOINT", key: "storage.publicEndpoint"),
        EnvironmentVariable(name: "S3_REGION", key: "storage.region"),
        EnvironmentVariable(name: "S3_BUCKET_NAME", key: "storage.bucket"),
        EnvironmentVariable(name: "S3_ACCESS_KEY_ID", key: "storage.accessKeyID"),
        EnvironmentVariable(name: "S3_SECRET_ACCESS_KEY", key: "storage.secretAccessKey"),
        EnvironmentVariable(name: "FERRY_JWT_SECRET", key: "identity.jwt.secret"),
        EnvironmentVariable(name: "FERRY_TICKET_SECRET", key: "identity.ticketSecret"),
        EnvironmentVariable(name: "FERRY_CALLBACK_SECRET", key: "callbacks.secret"),
        EnvironmentVariable(name: "FERRY_LOG_LEVEL", key: "log.level"),
        EnvironmentVariable(name: "FERRY_LOG_FORMAT", key: "log.format"),
    ]

    /// What this process's environment says of them.
    public static func values() -> [String: String] {
        var values: [String: String] = [:]
        for variable in all {
            if let text = FileSystem.environment(variable.name) { values[variable.name] = text }
        }
        return values
    }

    /// The value as the file would have it: every overridable key is a text.
    func json(_ text: String) -> PositionedJSON {
        let position = PositionedJSON.Position(line: 1, column: 1)
        return key.split(separator: ".").reversed().reduce(PositionedJSON(position: position, value: .string(text))) {
            value, key in
            let member = PositionedJSON.Member(key: String(key), keyPosition: position, value: value)
            return PositionedJSON(position: position, value: .object([member]))
        }
    }
}
