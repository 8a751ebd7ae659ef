internal import FunctionKit

/// The scripts that count. Each is one step on the server, so that counts are exact whoever asks at once.
enum LimitScripts {
    static let take = StoreScript(
        name: "limit-take",
        source: """
            -- Takes one of each of several budgets, or none of them when one is used up.
            -- KEYS[i]     the counter of budget i: a hash of used, and window, a number that its windows are told apart by
            -- ARGV[2i-1]  how many it has
            -- ARGV[2i]    its window, ms, from the first that is taken
            -- ARGV[#]     the number of windows that begin now
            -- Returns     {1 taken, 0 refused; for each budget: used before, ms to the end of its window, its number}
            local answer = {1}
            for i, key in ipairs(KEYS) do
                local counter, left = redis.call('HMGET', key, 'used', 'window'), redis.call('PTTL', key)
                local used, window = tonumber(counter[1]), tonumber(counter[2])
                if left < 0 then used, left, window = 0, tonumber(ARGV[2 * i]), tonumber(ARGV[#ARGV]) end
                if used >= tonumber(ARGV[2 * i - 1]) then answer[1] = 0 end
                answer[3 * i - 1], answer[3 * i], answer[3 * i + 1] = used, left, window
            end
            if answer[1] == 0 then return answer end
            for i, key in ipairs(KEYS) do
                if answer[3 * i - 1] == 0 then
                    redis.call('HSET', key, 'used', 1, 'window', string.format('%.0f', answer[3 * i + 1]))
                    redis.call('PEXPIRE', key, answer[3 * i])
                else
                    redis.call('HINCRBY', key, 'used', 1)
                end
            end
            return answer
            """)

    static let giveBack = StoreScript(
        name: "limit-give-back",
        source: """
            -- Gives back what was taken for something that came to nothing, as long as its window lasts. The next window
            -- gets nothing of it.
            -- KEYS[i]  the counter of budget i
            -- ARGV[i]  the number of the window that it was taken of
            -- Returns  how many were given back
            local count = 0
            for i, key in ipairs(KEYS) do
                local counter = redis.call('HMGET', key, 'used', 'window')
                if counter[2] == ARGV[i] and tonumber(counter[1]) > 0 then
                    redis.call('HINCRBY', key, 'used', -1)
                    count = count + 1
                end
            end
            return count
            """)
}
