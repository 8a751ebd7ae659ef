import FunctionKit
import RedisClient
import Testing

@Suite struct RedisErrorTests {
    @Test(arguments: [
        (RedisError(.connection, ""), true), (RedisError(.timeout, ""), true), (RedisError(.closed, ""), true),
        (RedisError(.overloaded, ""), true), (RedisError(.configuration, ""), false),
        (RedisError(.protocolViolation, ""), false), (RedisError(.cancelled, ""), false),
        (RedisError(.server, "LOADING Redis is loading the dataset in memory"), true),
        (RedisError(.server, "BUSYGROUP Consumer Group name already exists"), false),
        (RedisError(.server, "ERR syntax error"), false),
    ])
    func knowsWhetherRedisIsAway(_ error: RedisError, _ isUnavailable: Bool) {
        #expect(error.isUnavailable == isUnavailable)
    }

    @Test func keepsTheServersText() {
        let error = RedisError(.server, "NOGROUP No such key")
        #expect(error.serverCode == "NOGROUP")
        #expect(error.description == "redis: server: NOGROUP No such key")
        #expect(error.errorClass == .storage)
    }
}
