internal import FunctionKit

/// The scripts that count. Each is one step on the server, so that counts are exact whoever asks at once.
enum LimitScripts {
    static let take = StoreScript(
        name: "limit-take",
        source: """
            -- Takes one of each of several budgets, or none of them when one is used up.
            -- KEYS[i]     the counter of budget i
            -- ARGV[2i-1]  how many it has
            -- ARGV[2i]    its window, ms, from the first that is taken
            -- Returns     {1 taken, 0 refused; for each budget: used before, ms to the end of its window}
            local answer, taken = {1}, {}
            for i, key in ipairs(KEYS) do
                local used, left = tonumber(redis.call('GET', key) or '0'), redis.call('PTTL', key)
                if left < 0 then used, left = 0, tonumber(ARGV[2 * i]) else taken[i] = true end
                if used >= tonumber(ARGV[2 * i - 1]) then answer[1] = 0 end
                answer[2 * i], answer[2 * i + 1] = used, left
            end
            if answer[1] == 0 then return answer end
            for i, key in ipairs(KEYS) do
                if taken[i] then redis.call('INCR', key) else redis.call('SET', key, '1', 'PX', ARGV[2 * i]) end
            end
            return answer
            """)

    static let giveBack = StoreScript(
        name: "limit-give-back",
        source: """
            -- Gives back what was taken for something that came to nothing, as long as its window lasts.
            -- KEYS[i]  the counter of budget i
            -- Returns  how many were given back
            local count = 0
            for _, key in ipairs(KEYS) do
                if tonumber(redis.call('GET', key) or '0') > 0 then
                    redis.call('DECR', key)
                    count = count + 1
                end
            end
            return count
            """)
}
