-- Gives a delayed job another due time.
-- Joined with: queue, place.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  now, ms since 1970
-- ARGV[2]  id
-- ARGV[3]  delay from now, ms
--
-- Returns 0, or -1 when its hash is missing, -3 when it is not delayed.

@include queue
@include place

local id, delay = ARGV[2], tonumber(ARGV[3])
if redis.call('EXISTS', prefix .. id) == 0 then
    return -1
elseif redis.call('ZREM', delayed, id) == 0 then
    return -3
end
local due = pushDelayed(id, tonumber(ARGV[1]), delay)
redis.call('HSET', prefix .. id, 'delay', delay)
emitCapped('delayed', 'jobId', id, 'delay', digits(due))
markDelay()
return 0
