-- Tells a parent job, possibly of another queue on the same server, that one of its children has finished.

-- Puts a parent back where it is taken from; `from` is its queue's set that holds it. Returns whether it was there.
local function releaseParent(queue, id, now, from, honoursDelay)
    if redis.call('ZREM', queue .. from, id) == 0 then
        return false
    end
    local key = queue .. id
    local job = redis.call('HMGET', key, 'priority', 'delay')
    local priority, delay = whole(job[1] or '') or 0, whole(job[2] or '') or 0
    local queueSettings = redis.call('HMGET', queue .. 'meta', 'paused', 'concurrency', 'opts.maxLenEvents')
    local cap = whole(queueSettings[3] or '') or 10000
    if honoursDelay and delay > 0 then
        local due = now + delay
        redis.call('ZADD', queue .. 'delayed', due * 4096, id)
        redis.call(
            'XADD', queue .. 'events', 'MAXLEN', '~', cap, '*', 'event', 'delayed', 'jobId', id, 'delay', digits(due))
        local first = redis.call('ZRANGE', queue .. 'delayed', 0, 0, 'WITHSCORES')
        redis.call('ZADD', queue .. 'marker', tonumber(first[2]) / 4096, '1')
        return true
    end
    if priority > 0 then
        local count = redis.call('INCR', queue .. 'pc')
        redis.call('ZADD', queue .. 'prioritized', priority * 4294967296 + count % 4294967296, id)
    else
        redis.call('RPUSH', queue .. 'wait', id)
    end
    local concurrency = whole(queueSettings[2] or '')
    if not queueSettings[1] and not (concurrency and redis.call('LLEN', queue .. 'active') >= concurrency) then
        redis.call('ZADD', queue .. 'marker', 0, '0')
    end
    redis.call(
        'XADD', queue .. 'events', 'MAXLEN', '~', cap, '*', 'event', 'waiting', 'jobId', id, 'prev', from)
    return true
end

-- `parentText` is the child's `parent` field, JSON with one of the flags fpof, cpof, idof, rdof; `value` is the return
-- value's JSON or the reason of the failure.
local function tellParent(childKey, parentKey, parentText, succeeded, value, now)
    local isJSON, parent = pcall(cjson.decode, parentText or '')
    if not isJSON or type(parent) ~= 'table' then
        parent = {}
    end
    local queue, id
    if type(parent.queueKey) == 'string' and type(parent.id) == 'string' then
        queue, id = parent.queueKey .. ':', parent.id
    else
        queue, id = string.match(parentKey, '^(.*:)([^:]+)$')
    end
    if not queue then
        return
    end
    local failed = not succeeded
    if failed and not (parent.fpof or parent.cpof or parent.idof or parent.rdof) then
        return -- The parent waits until the child is tried again or removed.
    end
    if redis.call('SREM', parentKey .. ':dependencies', childKey) == 0 then
        return
    end
    if failed and parent.fpof then
        redis.call('ZADD', parentKey .. ':unsuccessful', now, childKey)
        if redis.call('EXISTS', parentKey) == 1 and not redis.call('ZSCORE', queue .. 'failed', id) then
            redis.call('HSET', parentKey, 'defa', 'child ' .. childKey .. ' failed')
            if not releaseParent(queue, id, now, 'waiting-children', false) then
                releaseParent(queue, id, now, 'delayed', false)
            end
        end
        return
    end
    if succeeded then
        redis.call('HSET', parentKey .. ':processed', childKey, value)
    elseif parent.cpof or parent.idof then
        redis.call('HSET', parentKey .. ':failed', childKey, value)
    end
    if (failed and parent.cpof) or redis.call('SCARD', parentKey .. ':dependencies') == 0 then
        releaseParent(queue, id, now, 'waiting-children', true)
    end
end
