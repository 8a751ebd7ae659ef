-- Tells a parent job, possibly of another queue on the same server, what became of one of its children.
-- Needs: queue, place.

-- Does something in another queue on the same server.
local function within(queue, body)
    local own = prefix
    if queue == own then
        return body()
    end
    use(queue)
    local isDone, result = pcall(body)
    use(own)
    if not isDone then
        error(result)
    end
    return result
end

-- Puts a parent that waits for its children, or is `delayed`, to where it is taken from; the queue is the parent's.
-- Returns whether it was there.
local function releaseParent(id, now, from, honoursDelay)
    if redis.call('ZREM', prefix .. from, id) == 0 then
        return false
    end
    local job = redis.call('HMGET', prefix .. id, 'priority', 'delay')
    local priority, delay = whole(job[1] or '') or 0, whole(job[2] or '') or 0
    if honoursDelay and delay > 0 then
        local due = now + delay
        redis.call('ZADD', delayed, due * 4096, id)
        emitCapped('delayed', 'jobId', id, 'delay', digits(due))
        markDelay()
        return true
    end
    pushReady(id, priority, true)
    markBase()
    emitCapped('waiting', 'jobId', id, 'prev', from)
    return true
end

-- The prefix of a job's queue and its id, from the `parentKey` and `parent` of its child; nil when they name none.
local function parentOf(parentKey, parentText)
    local isJSON, parent = pcall(cjson.decode, parentText or '')
    if not isJSON or type(parent) ~= 'table' then
        parent = {}
    end
    if type(parent.queueKey) == 'string' and type(parent.id) == 'string' then
        return parent.queueKey .. ':', parent.id, parent
    end
    local queue, id = string.match(parentKey, '^(.*:)([^:]+)$')
    return queue, id, parent
end

-- `parentText` is the child's `parent` field, JSON with one of the flags fpof, cpof, idof, rdof; `value` is the return
-- value's JSON or the reason of the failure.
local function tellParent(childKey, parentKey, parentText, succeeded, value, now)
    local queue, id, parent = parentOf(parentKey, parentText)
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
    within(queue, function()
        if failed and parent.fpof then
            redis.call('ZADD', parentKey .. ':unsuccessful', now, childKey)
            if redis.call('EXISTS', parentKey) == 1 and not redis.call('ZSCORE', queue .. 'failed', id) then
                redis.call('HSET', parentKey, 'defa', 'child ' .. childKey .. ' failed')
                if not releaseParent(id, now, 'waiting-children', false) then
                    releaseParent(id, now, 'delayed', false)
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
            releaseParent(id, now, 'waiting-children', true)
        end
    end)
end
