-- Removes jobs that have not ended, by an operator's or a producer's wish.
-- Needs: queue, place, remove, parent.

-- Whether the job is the one that its scheduler has planned as the next.
local function isPlanned(id, scheduler)
    local at = scheduler and redis.call('ZSCORE', prefix .. 'repeat', scheduler)
    return at and id == 'repeat:' .. scheduler .. ':' .. digits(tonumber(at))
end

-- Takes a job out of whatever holds it. Returns the state that it was in, as the events name it.
local function unlist(id)
    for _, set in ipairs({ 'completed', 'failed', 'delayed', 'prioritized', 'waiting-children' }) do
        if redis.call('ZREM', prefix .. set, id) == 1 then
            return set
        end
    end
    for _, list in ipairs({ 'active', 'wait', 'paused' }) do
        if redis.call('LREM', prefix .. list, 0, id) > 0 then
            return list
        end
    end
    return 'unknown'
end

-- Whether a worker holds the job or, of those that it waits for, a descendant.
local function isHeld(id)
    local key = prefix .. id
    if redis.call('EXISTS', key .. ':lock') == 1 then
        return true
    end
    for _, child in ipairs(try('SMEMBERS', key .. ':dependencies') or {}) do
        local queue, childId = string.match(child, '^(.*:)([^:]+)$')
        if queue and within(queue, function() return isHeld(childId) end) then
            return true
        end
    end
    return false
end

-- Forgets a job; its parent is told, its deduplication is free again. Children that have not ended go with it when
-- `takesChildren`.
local function forget(id, now, takesChildren)
    local key = prefix .. id
    local job = try('HMGET', key, 'deid', 'parentKey', 'parent') or {}
    local from = unlist(id)
    if takesChildren then
        for _, child in ipairs(try('SMEMBERS', key .. ':dependencies') or {}) do
            local queue, childId = string.match(child, '^(.*:)([^:]+)$')
            if queue then
                within(queue, function() forget(childId, now, true) end)
            end
        end
    end
    if job[1] then
        local holder = prefix .. 'de:' .. job[1]
        if redis.call('GET', holder) == id then
            redis.call('DEL', holder, prefix .. 'dn:' .. job[1])
        end
    end
    removeJob(id)
    redis.call('SREM', stalled, id)
    if job[2] then
        local queue, parentId = parentOf(job[2], job[3])
        if queue and redis.call('SREM', job[2] .. ':dependencies', key) == 1
            and redis.call('SCARD', job[2] .. ':dependencies') == 0 then
            within(queue, function() releaseParent(parentId, now, 'waiting-children', true) end)
        end
    end
    emitCapped('removed', 'jobId', id, 'prev', from)
end
