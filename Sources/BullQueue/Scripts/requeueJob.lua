-- Puts a job into the queue once more, with new data and fresh counters: one that has ended waits again, one that waits
-- keeps its place, one whose next attempt was delayed is ready at once, one that is unknown is added. One that a worker
-- holds is left alone.
-- Joined with: queue, place, remove.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  id
-- ARGV[2]  name
-- ARGV[3]  data, JSON
-- ARGV[4]  opts, JSON
-- ARGV[5]  now, ms since 1970
-- ARGV[6]  priority, 0 for none; without effect when there is an owner
-- ARGV[7]  owner, '' for none
--
-- Returns 'added', 'requeued', 'waiting' or 'active'.

@include queue
@include place
@include remove

local id, name, now, priority = ARGV[1], ARGV[2], tonumber(ARGV[5]), tonumber(ARGV[6])
local key, owner = prefix .. id, ARGV[7]

local function write()
    redis.call(
        'HSET', key, 'name', name, 'data', ARGV[3], 'opts', ARGV[4], 'timestamp', now, 'delay', 0, 'priority',
        priority)
    if owner ~= '' then
        redis.call('HSET', key, 'owner', owner)
    end
end

local function takeTurn()
    if owner ~= '' then
        priority = turns().give(owner, false)
    end
end

local function isWaiting()
    if redis.call('ZSCORE', prioritized, id) or redis.call('ZSCORE', prefix .. 'waiting-children', id) then
        return true
    end
    return redis.call('LPOS', wait, id) or redis.call('LPOS', prefix .. 'paused', id)
end

-- Also without a hash: a worker whose job was removed under it would take the new one for its own.
if redis.call('EXISTS', key .. ':lock') == 1 or redis.call('LPOS', active, id) then
    return 'active'
end
local from = nil
if redis.call('EXISTS', key) == 1 then
    from = redis.call('ZREM', prefix .. 'failed', id) == 1 and 'failed'
        or redis.call('ZREM', prefix .. 'completed', id) == 1 and 'completed'
        or redis.call('ZREM', delayed, id) == 1 and 'delayed'
    if from == 'delayed' or not from and isWaiting() then
        redis.call(
            'HDEL', key, 'atm', 'ats', 'stc', 'defa', 'failedReason', 'stacktrace', 'progress', 'processedOn', 'pb',
            'parked')
        local was = redis.call('HGET', key, 'priority')
        if from then
            takeTurn()
        end
        write()
        if from then
            pushReady(id, priority, false)
            markBase()
            emitCapped('waiting', 'jobId', id, 'prev', from)
        else
            -- Its place tells its priority.
            redis.call('HSET', key, 'priority', was or 0)
        end
        return 'waiting'
    end
    -- A hash that no list holds: a drain or a crash of foreign tools left it; it is made anew.
    removeJob(id)
end
redis.call('INCR', prefix .. 'id')
takeTurn()
write()
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
