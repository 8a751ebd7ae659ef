-- Stores a new job and puts it where it waits.
-- Needs: queue, place.

-- `fields` are further fields and values of the hash, or nil.
local function store(id, name, data, opts, timestamp, delay, priority, fields)
    local key = prefix .. id
    redis.call(
        'HSET', key, 'name', name, 'data', data, 'opts', opts, 'timestamp', timestamp, 'delay', delay, 'priority',
        priority)
    if fields and #fields > 0 then
        redis.call('HSET', key, unpack(fields))
    end
    emitCapped('added', 'jobId', id, 'name', name)
end

-- `isNext` puts a job without a priority at the head.
local function enqueue(id, timestamp, delay, priority, isNext)
    if delay > 0 then
        emit('delayed', 'jobId', id, 'delay', digits(pushDelayed(id, timestamp, delay)))
        markDelay()
    else
        pushReady(id, priority, isNext)
        markBase()
        emit('waiting', 'jobId', id)
    end
end
