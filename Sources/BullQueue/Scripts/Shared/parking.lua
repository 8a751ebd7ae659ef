-- Keeps how many jobs of each owner run within a bound.
-- Needs: queue, place. Made by `fetch` when it is wanted; returns its steps.
--
-- How many run is what `active` tells, whoever works them. So there is nothing to be renewed, and what a lost worker held
-- counts until it is given back. A job whose owner has as many as he may is parked when it is met: it is moved to
-- `delayed`, where every client and tool sees it, and noted with its turn. Fetches look at the notes as well as at
-- `prioritized`, so it is started in its turn as soon as its owner has a free place, mostly in the step that has freed it.
-- To leave it in `prioritized` was rejected: each fetch would go through all that may not be started.
--
-- The notes may be lost without harm: the job is due after an hour. One that somebody has taken out of `delayed`, or has
-- delayed anew, is no longer where its note says, and is passed over.
--
-- <prefix>parked          zset: owners by the score at which their next parked job is due
-- <prefix>parked:<owner>  zset: the owner's parked jobs by the score at which they would stand in `prioritized`
-- Job field `parked`      the score that parking gave it in `delayed`

local parkedMs = 3600000
local parking, running = {}, nil

-- How many jobs of each owner run. Those of `taken` are in `active` and not started.
local function count(taken)
    if running then
        return
    end
    running = {}
    local isTaken = {}
    for _, id in ipairs(taken) do
        isTaken[id] = true
    end
    for _, id in ipairs(redis.call('LRANGE', active, 0, -1)) do
        local owner = not isTaken[id] and try('HGET', prefix .. id, 'owner')
        if owner then
            running[owner] = (running[owner] or 0) + 1
        end
    end
end

-- Whether the owner has as many running as he may.
function parking.isFull(owner, max, taken)
    count(taken)
    return (running[owner] or 0) >= max
end

-- Counts one that is started.
function parking.add(owner)
    if running then
        running[owner] = (running[owner] or 0) + 1
    end
end

-- Parks a job that is in `active`; `score` is nil when it comes from `wait`.
function parking.park(id, owner, score, now)
    local key = prefix .. id
    score = tonumber(score) or (whole(try('HGET', key, 'priority') or '') or 0) * 4294967296
    redis.call('LREM', active, 1, id)
    local due = pushDelayed(id, now, parkedMs)
    redis.call('HSET', key, 'delay', parkedMs, 'parked', redis.call('ZSCORE', delayed, id))
    redis.call('ZADD', prefix .. 'parked:' .. owner, score, id)
    local first = redis.call('ZSCORE', prefix .. 'parked', owner)
    if not first or tonumber(first) > score then
        redis.call('ZADD', prefix .. 'parked', score, owner)
    end
    emitCapped('delayed', 'jobId', id, 'delay', digits(due))
end

-- Takes the owner's first parked job for its turn. Nil when all notes were void, which are gone then.
local function unpark(owner, turn)
    local notes, id = prefix .. 'parked:' .. owner, nil
    repeat
        id = redis.call('ZPOPMIN', notes)[1]
        local at = id and redis.call('ZSCORE', delayed, id)
        local isParked = at and at == try('HGET', prefix .. id, 'parked')
    until isParked or not id
    local next = redis.call('ZRANGE', notes, 0, 0, 'WITHSCORES')
    if next[2] then
        redis.call('ZADD', prefix .. 'parked', math.max(tonumber(next[2]), turns().after(turn)), owner)
    else
        redis.call('ZREM', prefix .. 'parked', owner)
    end
    if id then
        redis.call('ZREM', delayed, id)
        redis.call('HDEL', prefix .. id, 'parked')
        redis.call('HSET', prefix .. id, 'delay', 0)
        emit('waiting', 'jobId', id, 'prev', 'delayed')
    end
    return id
end

-- Takes what is next: of `prioritized`, or a parked job whose owner has a free place. Returns { id, score }, or {}.
function parking.takeNext(max, taken)
    count(taken)
    local first = redis.call('ZRANGE', prioritized, 0, 0, 'WITHSCORES')
    local next, position = turns().next(), 0
    -- As many owners have all their places in use as `active` has room for: few.
    while true do
        local entry = redis.call('ZRANGE', prefix .. 'parked', position, position, 'WITHSCORES')
        local owner = entry[1]
        if not owner then
            return redis.call('ZPOPMIN', prioritized)
        elseif (running[owner] or 0) >= max then
            position = position + 1
        else
            -- While its owner had no place others had their turns, and none is owed for that.
            local turn = math.max(tonumber(entry[2]), next)
            if first[2] and tonumber(first[2]) < turn then
                return redis.call('ZPOPMIN', prioritized)
            end
            local id = unpark(owner, turn)
            if id then
                return { id, turn }
            end
        end
    end
end

return parking
