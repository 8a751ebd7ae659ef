-- What schedulers plan: their iterations, one ahead.
-- Needs: queue, place, add, remove.

local schedulers = prefix .. 'repeat'

local function iterationId(scheduler, slot)
    return 'repeat:' .. scheduler .. ':' .. digits(slot)
end

-- When the scheduler's next iteration is planned, ms since 1970; nil for none.
local function plannedSlot(scheduler)
    return tonumber(redis.call('ZSCORE', schedulers, scheduler))
end

-- The list or set in which an iteration waits to be taken; nil when it does not.
local function waitsIn(id)
    for _, set in ipairs({ delayed, prioritized }) do
        if redis.call('ZSCORE', set, id) then
            return set
        end
    end
    for _, list in ipairs({ wait, prefix .. 'paused' }) do
        if redis.call('LPOS', list, id) then
            return list
        end
    end
    return nil
end

-- Whether a job of that id is worked or has ended, so that another of the same id cannot be added. A hash that nothing
-- holds is what a loss left over.
local function isTaken(id)
    if redis.call('EXISTS', prefix .. id) == 0 then
        return false
    end
    return redis.call('ZSCORE', prefix .. 'completed', id) or redis.call('ZSCORE', prefix .. 'failed', id)
        or redis.call('ZSCORE', prefix .. 'waiting-children', id) or redis.call('LPOS', active, id)
        or redis.call('EXISTS', prefix .. id .. ':lock') == 1
end

-- Removes an iteration that was not taken yet, or what is left of it.
local function withdraw(id)
    local place = waitsIn(id)
    if place == delayed or place == prioritized then
        redis.call('ZREM', place, id)
    elseif place then
        redis.call('LREM', place, 0, id)
    end
    removeJob(id)
end

-- The first slot after now of an `every` and its offset, both ms.
local function alignedSlot(now, every, offset)
    local slot = math.floor(now / every) * every + offset
    if slot <= now then
        slot = slot + every
    end
    return slot
end

-- The first free slot of an `every`, of 32; nil when there is none.
local function freeSlot(scheduler, slot, every)
    for _ = 1, 32 do
        if not isTaken(iterationId(scheduler, slot)) then
            return slot
        end
        slot = slot + every
    end
    return nil
end

-- Adds the iteration of a slot. `head` is the beginning of its opts, a JSON object with at least one member and without
-- the closing brace; `priority` a number, or 'lifo' for a job without one that is to be taken next. Returns its id.
local function plan(scheduler, slot, now, name, data, head, priority)
    local id = iterationId(scheduler, slot)
    local delay = math.max(0, slot - now)
    local rank = tonumber(priority) or 0
    local opts = head .. ',"delay":' .. digits(delay) .. ',"jobId":' .. cjson.encode(id) .. '}'
    redis.call('INCR', prefix .. 'id')
    redis.call('ZADD', schedulers, slot, scheduler)
    store(id, name, data, opts, now, delay, rank, { 'rjk', scheduler })
    enqueue(id, now, delay, rank, priority == 'lifo')
    return id
end
