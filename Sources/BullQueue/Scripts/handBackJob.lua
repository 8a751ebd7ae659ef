-- Hands an unfinished job back to be taken next, without counting an attempt.
-- Joined with: queue, held.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  id
-- ARGV[2]  lock token
-- ARGV[3]  ms during which no worker with a rate limit is to start a job, 0 for none
--
-- Returns the ms that a rate limit still runs, 0 for none; or -1 hash missing, -2 lock missing, -3 not in `active`,
-- -6 lock held by another token.

@include queue
@include held

local id = ARGV[1]
local key = prefix .. id
local job = try('HMGET', key, 'name', 'priority')
if not job or not job[1] then
    return -1
end
local code = unlock(id, ARGV[2])
if code < 0 then
    return code
end
if redis.call('LREM', active, 1, id) == 0 then
    return -3
end
if ARGV[3] ~= '0' then
    redis.call('SET', limiter, '9007199254740991', 'PX', ARGV[3])
end
local priority = whole(job[2] or '') or 0
if priority > 0 then
    redis.call('ZADD', prioritized, priority * 4294967296, id)
else
    redis.call('RPUSH', wait, id)
end
markBase()
emitCapped('waiting', 'jobId', id, 'prev', 'active')
return math.max(0, redis.call('PTTL', limiter))
