-- Lets a running job wait for its children, unless none is pending.
-- Joined with: queue, held.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  now, ms since 1970
-- ARGV[2]  id
-- ARGV[3]  lock token
-- ARGV[4]  the full key of the one child to wait for, or '' for all
--
-- Returns 0 when the job now waits, 1 when there is nothing to wait for (it is still the worker's), or -1 hash missing,
-- -2 lock missing, -3 not in `active`, -6 lock held by another token, -9 children have failed.

@include queue
@include held

local id = ARGV[2]
local key = prefix .. id
if redis.call('EXISTS', key) == 0 then
    return -1
elseif redis.call('ZCARD', key .. ':unsuccessful') > 0 then
    return -9
end
local isPending
if ARGV[4] ~= '' then
    isPending = redis.call('SISMEMBER', key .. ':dependencies', ARGV[4]) == 1
else
    isPending = redis.call('SCARD', key .. ':dependencies') > 0
end
if not isPending then
    return 1
end
local code = unlock(id, ARGV[3])
if code < 0 then
    return code
end
if redis.call('LREM', active, -1, id) == 0 then
    return -3
end
redis.call('ZADD', prefix .. 'waiting-children', tonumber(ARGV[1]), id)
emit('waiting-children', 'jobId', id, 'prev', 'active')
return 0
