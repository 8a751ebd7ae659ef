-- Gives a job another priority, and another place when it is ready to be taken. Its options stay as they are.
-- Joined with: queue, place, job.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  id
-- ARGV[2]  priority, 0 for none
-- ARGV[3]  'lifo' to be the next of that priority, else ''
--
-- Returns 0, or -1 when there is no such job.

@include queue
@include place
@include job

local id, priority, isNext = ARGV[1], tonumber(ARGV[2]), ARGV[3] == 'lifo'
if not isJob(id) then
    return -1
end
local list = redis.call('ZREM', prioritized, id) == 1 and wait
if not list then
    for _, name in ipairs({ wait, prefix .. 'paused' }) do
        list = list or redis.call('LREM', name, -1, id) > 0 and name
    end
end
if list then
    if priority > 0 and isNext then
        redis.call('ZADD', prioritized, priority * 4294967296, id)
    elseif priority > 0 then
        pushPrioritized(id, priority)
    else
        redis.call(isNext and 'RPUSH' or 'LPUSH', list, id)
    end
    markBase()
end
redis.call('HSET', prefix .. id, 'priority', priority)
return 0
