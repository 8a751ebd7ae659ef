-- Puts a job whose attempt failed back to where it is taken from; the attempt counts.
-- Joined with: queue, held, place.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  now, ms since 1970
-- ARGV[2]  id
-- ARGV[3]  lock token
-- ARGV[4]  the reason, plain text
-- ARGV[5]  stacktrace, JSON array
-- ARGV[6]  'lifo' to be taken next, else ''
--
-- Returns 0, or -1 hash missing, -2 lock missing, -3 not in `active`, -6 lock held by another token.

@include queue
@include held
@include place

local id = ARGV[2]
local key = prefix .. id
promote(tonumber(ARGV[1]))
local job = try('HMGET', key, 'name', 'priority', 'owner')
if not job or not job[1] then
    return -1
end
local code = unlock(id, ARGV[3])
if code < 0 then
    return code
end
redis.call('HSET', key, 'failedReason', ARGV[4], 'stacktrace', ARGV[5])
if redis.call('LREM', active, -1, id) == 0 then
    return -3
end
pushReady(id, priorityAgain(key, job[2], job[3]), ARGV[6] == 'lifo')
markBase()
countUp(key, 'atm')
emitCapped('waiting', 'jobId', id, 'prev', 'active')
return 0
