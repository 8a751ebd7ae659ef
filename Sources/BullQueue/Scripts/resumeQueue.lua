-- Lets a paused queue run again, and brings back the jobs that a client of version 5 put aside in the list `paused`.
-- Joined with: queue.
--
-- KEYS[1]  the queue's prefix
--
-- Returns how many jobs are still in the list `paused`: call again when it is not 0; the queue runs after the last call.

@include queue

local aside = prefix .. 'paused'
local left = redis.call('LLEN', aside)
if left > 0 then
    if redis.call('EXISTS', wait) == 0 then
        redis.call('RENAME', aside, wait)
        left = 0
    else
        -- They are older than what `wait` holds, so they go before it: the right end is taken first.
        local ids = redis.call('LRANGE', aside, 0, 6999)
        redis.call('RPUSH', wait, unpack(ids))
        redis.call('LTRIM', aside, #ids, -1)
        left = left - #ids
    end
    if left > 0 then
        return left
    end
end
redis.call('HDEL', meta, 'paused')
isPaused = false
if redis.call('EXISTS', wait, prioritized) > 0 then
    redis.call('ZADD', marker, 0, '0')
else
    markDelay()
end
emit('resumed')
return 0
