-- The queue's keys, its settings, and what every operation needs. Joined in front of each operation.
--
-- KEYS[1]  the queue's prefix `<prefix>:<queue>:`; every other key begins with it (hash-tag the prefix in a cluster)
--
-- Numbers of more than 14 digits go to Redis as numbers or by `digits`: Lua's own `..` keeps 14 only. What came as text
-- goes on as text where jobs are many: the server's way of writing a number costs as much as a small command. So numbers that
-- every job needs are written as text.

local prefix, wait, active, prioritized, delayed, marker, events, stalled, meta, limiter
local isPaused, globalConcurrency, globalMax, globalDuration, maxEvents

-- A call whose failure must not end the script, such as one on a foreign key of another type: nil then.
local function try(...)
    local reply = redis.pcall(...)
    if type(reply) == 'table' and reply.err then
        return nil
    end
    return reply
end

-- A whole number up to 2^53 as text.
local function digits(number)
    return string.format('%d', number)
end

-- A whole number, or nil for anything else that may stand in a field.
local function whole(text)
    local number = tonumber(text)
    if number and number == number and number > -9007199254740992 and number < 9007199254740992 then
        return math.floor(number)
    end
    return nil
end

-- Turns every step to the queue of that prefix: to the operation's own, and for a while to that of a parent or a child.
local function use(queue)
    prefix = queue
    wait, active, prioritized = queue .. 'wait', queue .. 'active', queue .. 'prioritized'
    delayed, marker, events = queue .. 'delayed', queue .. 'marker', queue .. 'events'
    stalled, meta, limiter = queue .. 'stalled', queue .. 'meta', queue .. 'limiter'
    local settings = redis.call('HMGET', meta, 'paused', 'concurrency', 'max', 'duration', 'opts.maxLenEvents')
    isPaused = settings[1] ~= false
    globalConcurrency = whole(settings[2] or '')
    globalMax, globalDuration = whole(settings[3] or ''), whole(settings[4] or '')
    maxEvents = whole(settings[5] or '')
    maxEvents = maxEvents and digits(maxEvents)
    if not maxEvents then
        maxEvents = '10000'
        redis.call('HSET', meta, 'opts.maxLenEvents', maxEvents)
    end
end

use(KEYS[1])

local function emit(...)
    redis.call('XADD', events, '*', 'event', ...)
end

local function emitCapped(...)
    redis.call('XADD', events, 'MAXLEN', '~', maxEvents, '*', 'event', ...)
end

local function isMaxed()
    return globalConcurrency ~= nil and redis.call('LLEN', active) >= globalConcurrency
end

-- Wakes one idle worker: there may be work now.
local function markBase()
    if not isPaused and not isMaxed() then
        redis.call('ZADD', marker, '0', '0')
    end
end

-- Tells idle workers when the earliest delayed job is due, also while paused.
local function markDelay()
    local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
    if first[2] then
        redis.call('ZADD', marker, tonumber(first[2]) / 4096, '1')
    end
end
