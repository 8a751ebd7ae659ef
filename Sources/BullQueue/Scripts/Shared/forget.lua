-- Removes jobs, whatever their state, by an operator's or a producer's wish.
-- Needs: queue, place, remove, parent.

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

-- Calls `body` with the id of each child that a key of the job names, in the queue of the child.
local function eachChild(command, key, body)
    for _, child in ipairs(try(unpack(command)) or {}) do
        local queue, id = string.match(child, '^([^:]+:[^:]+:)(.+)$')
        if string.sub(child, 1, #prefix) == prefix then
            queue, id = prefix, string.sub(child, #prefix + 1)
        end
        if queue and child ~= key then
            within(queue, function() body(id) end)
        end
    end
end

-- Whether a worker holds the job or, of those that it waits for, a descendant; `depth`, 0 when absent, ends a circle of
-- parents.
local function isHeld(id, depth)
    depth = depth or 0
    local key = prefix .. id
    if redis.call('EXISTS', key .. ':lock') == 1 then
        return true
    end
    local held = false
    if depth < 64 then
        eachChild({ 'SMEMBERS', key .. ':dependencies' }, key, function(child)
            held = held or isHeld(child, depth + 1)
        end)
    end
    return held
end

-- Deletes the keys of a job that no list holds any more, and what it holds of a deduplication.
local function erase(id)
    local deduplication = try('HGET', prefix .. id, 'deid')
    if deduplication then
        local holder = prefix .. 'de:' .. deduplication
        if try('GET', holder) == id then
            redis.call('DEL', holder, prefix .. 'dn:' .. deduplication)
        end
    end
    removeJob(id)
    redis.call('SREM', stalled, id)
end

-- The parent's queue and id when this was the last child that it waited for.
local function parentWithoutChildren(key, parentKey, parentText)
    if not parentKey then
        return nil
    end
    local queue, id = parentOf(parentKey, parentText)
    local pending = parentKey .. ':dependencies'
    if queue and try('SREM', pending, key) == 1 and redis.call('SCARD', pending) == 0 then
        return queue, id
    end
    return nil
end

-- Removes a job and tells its parent. With `takesChildren` its children go first, those that have ended too.
local function forget(id, now, takesChildren, depth)
    depth = depth or 0
    local key = prefix .. id
    if takesChildren and depth < 64 then
        local function remove(child)
            forget(child, now, true, depth + 1)
        end
        eachChild({ 'HKEYS', key .. ':processed' }, key, remove)
        eachChild({ 'HKEYS', key .. ':failed' }, key, remove)
        eachChild({ 'ZRANGE', key .. ':unsuccessful', 0, -1 }, key, remove)
        eachChild({ 'SMEMBERS', key .. ':dependencies' }, key, remove)
    end
    local job = try('HMGET', key, 'parentKey', 'parent')
    local exists = redis.call('EXISTS', key) == 1
    local from = unlist(id)
    erase(id)
    local queue, parent = parentWithoutChildren(key, job and job[1], job and job[2])
    if queue then
        within(queue, function() releaseParent(parent, now, 'waiting-children', true) end)
    end
    if exists then
        emitCapped('removed', 'jobId', id, 'prev', from)
    end
end

-- Removes a job that its list holds no more, without an event, and appends its id to `dropped`. A parent of this queue
-- that waited for nothing else goes with it; one of another queue is released.
local function drop(id, now, dropped)
    local key = prefix .. id
    local job = try('HMGET', key, 'parentKey', 'parent')
    erase(id)
    dropped[#dropped + 1] = id
    local queue, parent = parentWithoutChildren(key, job and job[1], job and job[2])
    if queue == prefix then
        if redis.call('ZREM', prefix .. 'waiting-children', parent) == 1 then
            drop(parent, now, dropped)
        end
    elseif queue then
        within(queue, function() releaseParent(parent, now, 'waiting-children', true) end)
    end
end
