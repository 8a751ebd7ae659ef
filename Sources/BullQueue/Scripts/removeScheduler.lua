-- Removes a scheduler and its next iteration, when that is not ready yet.
-- Joined with: queue, remove.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  the scheduler's id
--
-- Returns 1, or 0 when there is no such scheduler.

-- A queue that is not there is not to be made by the attempt.
local scheduler, slot = ARGV[1], redis.call('ZSCORE', KEYS[1] .. 'repeat', ARGV[1])
if not slot then
    return redis.call('DEL', KEYS[1] .. 'repeat:' .. scheduler)
end

@include queue
@include remove

local id = 'repeat:' .. scheduler .. ':' .. digits(tonumber(slot))
if redis.call('ZREM', delayed, id) == 1 then
    removeJob(id)
    emitCapped('removed', 'jobId', id, 'prev', 'delayed')
end
redis.call('DEL', prefix .. 'repeat:' .. scheduler)
return redis.call('ZREM', prefix .. 'repeat', scheduler)
