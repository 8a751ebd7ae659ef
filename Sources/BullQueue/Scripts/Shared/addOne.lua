-- Adds one job with all that its options ask for.
-- Needs: queue, place, add, remove, deduplication, parent.

-- A job of that id exists already. It becomes a child of the parent that is named now, unless another living job is
-- its parent. Returns a code: 0, or -7.
local function meet(id, more, now)
    local key = prefix .. id
    local parentKey = more and more.parentKey
    if parentKey then
        local current = redis.call('HGET', key, 'parentKey')
        if current and current ~= parentKey and redis.call('EXISTS', current) == 1 then
            return -7
        end
        local score = redis.call('ZSCORE', prefix .. 'completed', id)
        redis.call('SADD', parentKey .. ':dependencies', key)
        redis.call('HSET', key, 'parentKey', parentKey, 'parent', more.parent)
        if score then
            tellParent(key, parentKey, more.parent, true, redis.call('HGET', key, 'returnvalue') or 'null', now)
        end
    end
    emitCapped('duplicated', 'jobId', id)
    return 0
end

-- `number` is the queue's next; `id` is the job's own or ''. `more` is nil or what few jobs have: parentKey, parent (JSON
-- text), de (its deduplication), waits (for its children), owner (its turn gives the priority).
--
-- Returns id and code: 1 added; 0 a job of that id existed (event `duplicated`); 2 another job, whose id is returned,
-- holds the deduplication; -5 there is no such parent; -7 the job of that id has another parent.
local function addOne(number, id, name, data, opts, timestamp, delay, priority, isNext, more)
    if more and more.parentKey and redis.call('EXISTS', more.parentKey) == 0 then
        return id, -5
    end
    if id == '' then
        id = digits(number)
    elseif redis.call('EXISTS', prefix .. id) == 1 then
        return id, meet(id, more, timestamp)
    end
    local fields
    if more then
        fields = {}
        local parentKey, de = more.parentKey, more.de
        if de then
            local holder = claimDeduplication(id, de, function(parked)
                redis.call('HSET', parked, 'name', name, 'data', data, 'opts', opts, 'jid', id)
                if parentKey then
                    redis.call(
                        'HSET', parked, 'pk', parentKey, 'pd', more.parent, 'pdk', parentKey .. ':dependencies')
                end
            end)
            if holder then
                return holder, 2
            end
            fields[1], fields[2] = 'deid', de.id
        end
        if more.owner then
            priority = turns().give(more.owner, false)
            fields[#fields + 1], fields[#fields + 2] = 'owner', more.owner
        end
        if parentKey then
            fields[#fields + 1], fields[#fields + 2] = 'parentKey', parentKey
            fields[#fields + 1], fields[#fields + 2] = 'parent', more.parent
        end
    end
    store(id, name, data, opts, timestamp, delay, priority, fields)
    if more and more.waits then
        redis.call('ZADD', prefix .. 'waiting-children', timestamp, id)
        emit('waiting-children', 'jobId', id)
    else
        enqueue(id, timestamp, delay, priority, isNext)
    end
    if more and more.parentKey then
        redis.call('SADD', more.parentKey .. ':dependencies', prefix .. id)
    end
    return id, 1
end
