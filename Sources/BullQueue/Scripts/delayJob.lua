-- Moves a job from `active` to `delayed`: a failed attempt with its back-off, or a job that delays itself.
-- Joined with: queue, held, place.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  now, ms since 1970
-- ARGV[2]  id
-- ARGV[3]  lock token
-- ARGV[4]  delay, ms
-- ARGV[5]  the reason of the failed attempt, plain text; ignored when the attempt does not count
-- ARGV[6]  stacktrace, JSON array; '' when the attempt does not count
--
-- Returns 0, or -1 hash missing, -2 lock missing, -3 not in `active`, -6 lock held by another token.

@include queue
@include held
@include place

local now, id, delay = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[4])
local key = prefix .. id
local job = try('HMGET', key, 'name')
if not job or not job[1] then
    return -1
end
local code = unlock(id, ARGV[3])
if code < 0 then
    return code
end
if ARGV[6] ~= '' then
    redis.call('HSET', key, 'failedReason', ARGV[5], 'stacktrace', ARGV[6])
end
if redis.call('LREM', active, -1, id) == 0 then
    return -3
end
local due = pushDelayed(id, now, delay)
if ARGV[6] ~= '' then
    countUp(key, 'atm')
end
redis.call('HSET', key, 'delay', delay)
emitCapped('delayed', 'jobId', id, 'delay', digits(due))
markDelay()
if redis.call('EXISTS', prefix .. 'parked') == 1 then
    -- Its owner has a free place, and this worker may be about to end.
    markBase()
end
return 0
