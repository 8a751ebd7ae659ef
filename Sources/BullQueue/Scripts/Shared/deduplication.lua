-- Releases the deduplication that a finished job held, and adds the job that was parked behind it.

local function addParked(parkedKey, deduplicationId, now)
    local parked = redis.call('HMGET', parkedKey, 'name', 'data', 'opts', 'jid', 'pk', 'pd', 'pdk', 'rjk')
    redis.call('DEL', parkedKey)
    local name, id = parked[1], parked[4]
    if not name or not id then
        return
    end
    local key = prefix .. id
    local isOptions, options = pcall(cjson.decode, parked[3] or '{}')
    if not isOptions or type(options) ~= 'table' then
        options = {}
    end
    local delay, priority = whole(options.delay) or 0, whole(options.priority) or 0
    redis.call('INCR', prefix .. 'id')
    redis.call('SET', prefix .. 'de:' .. deduplicationId, id)
    redis.call(
        'HSET', key, 'name', name, 'data', parked[2] or '{}', 'opts', parked[3] or '{}', 'timestamp', now, 'delay',
        delay, 'priority', priority, 'deid', deduplicationId)
    if parked[5] then
        redis.call('HSET', key, 'parentKey', parked[5], 'parent', parked[6] or '{}')
    end
    if parked[8] then
        redis.call('HSET', key, 'rjk', parked[8])
    end
    emitCapped('added', 'jobId', id, 'name', name)
    if delay > 0 then
        emit('delayed', 'jobId', id, 'delay', digits(pushDelayed(id, now, delay)))
        markDelay()
    else
        pushReady(id, priority, options.lifo == true)
        markBase()
        emit('waiting', 'jobId', id)
    end
    if parked[7] then
        redis.call('SADD', parked[7], key)
    end
end

local function releaseDeduplication(id, deduplicationId, now)
    local holderKey = prefix .. 'de:' .. deduplicationId
    if redis.call('GET', holderKey) == id and redis.call('PTTL', holderKey) == -1 then
        redis.call('DEL', holderKey)
    end
    local parkedKey = prefix .. 'dn:' .. deduplicationId
    if redis.call('EXISTS', parkedKey) == 1 then
        addParked(parkedKey, deduplicationId, now)
    end
end
