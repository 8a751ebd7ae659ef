-- Puts a job into the queue once more: one that has ended waits again with new data and fresh counters, one that is
-- unknown is added, one that waits or is worked is left alone.
-- Joined with: queue, place, remove.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  id
-- ARGV[2]  name
-- ARGV[3]  data, JSON
-- ARGV[4]  opts, JSON
-- ARGV[5]  now, ms since 1970
-- ARGV[6]  priority, 0 for none
--
-- Returns 'added', 'requeued', 'waiting' or 'active'.

@include queue
@include place
@include remove

local id, name, now, priority = ARGV[1], ARGV[2], tonumber(ARGV[5]), tonumber(ARGV[6])
local key = prefix .. id
local exists = redis.call('EXISTS', key) == 1
local from = nil
if exists then
    from = redis.call('ZREM', prefix .. 'failed', id) == 1 and 'failed'
        or redis.call('ZREM', prefix .. 'completed', id) == 1 and 'completed'
    if not from then
        local isWaiting = redis.call('ZSCORE', delayed, id) or redis.call('ZSCORE', prioritized, id)
            or redis.call('ZSCORE', prefix .. 'waiting-children', id)
        if not isWaiting then
            for _, list in ipairs({ wait, prefix .. 'paused' }) do
                isWaiting = isWaiting or redis.call('LPOS', list, id)
            end
        end
        if isWaiting then
            return 'waiting'
        elseif redis.call('EXISTS', key .. ':lock') == 1 or redis.call('LPOS', active, id) then
            return 'active'
        end
        -- A hash that no list holds: a drain or a crash of foreign tools left it; it is made anew.
    end
    removeJob(id)
end
redis.call('INCR', prefix .. 'id')
redis.call(
    'HSET', key, 'name', name, 'data', ARGV[3], 'opts', ARGV[4], 'timestamp', now, 'delay', 0, 'priority', priority)
if not from then
    emitCapped('added', 'jobId', id, 'name', name)
end
pushReady(id, priority, false)
markBase()
if from then
    emitCapped('waiting', 'jobId', id, 'prev', from)
    return 'requeued'
end
emit('waiting', 'jobId', id)
return 'added'
