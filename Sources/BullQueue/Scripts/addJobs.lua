-- Adds jobs, in order and in one step: standard, prioritized or delayed.
-- Joined with: queue, place.
--
-- KEYS[1]  the queue's prefix
-- Then for each job 7 of ARGV:
--   1  id, or '' for the next number
--   2  name
--   3  data, JSON
--   4  opts, JSON
--   5  timestamp, ms since 1970
--   6  delay, ms; 0 for none
--   7  priority, 0 for none; or 'lifo' for a job without one that is to be taken next
--
-- Returns for each job its id and 1 when it was added, 0 when a job of that id existed (event `duplicated`).

@include queue
@include place

local results = {}
for first = 1, #ARGV, 7 do
    local id, name = ARGV[first], ARGV[first + 1]
    local timestamp, delay = tonumber(ARGV[first + 4]), tonumber(ARGV[first + 5])
    local priority = tonumber(ARGV[first + 6]) or 0
    local number = redis.call('INCR', prefix .. 'id')
    if id == '' then
        id = digits(number)
    end
    local key = prefix .. id
    local isNew = redis.call('EXISTS', key) == 0
    if isNew then
        redis.call(
            'HSET', key, 'name', name, 'data', ARGV[first + 2], 'opts', ARGV[first + 3], 'timestamp', timestamp,
            'delay', delay, 'priority', priority)
        emitCapped('added', 'jobId', id, 'name', name)
        if delay > 0 then
            emit('delayed', 'jobId', id, 'delay', digits(pushDelayed(id, timestamp, delay)))
            markDelay()
        else
            pushReady(id, priority, ARGV[first + 6] == 'lifo')
            markBase()
            emit('waiting', 'jobId', id)
        end
    else
        emitCapped('duplicated', 'jobId', id)
    end
    results[#results + 1] = id
    results[#results + 1] = isNew and 1 or 0
end
return results
