-- Puts jobs where they wait: `wait`, `prioritized` or `delayed`.

-- priority · 2^32 + running number: first by priority, then in the order of arrival.
local function pushPrioritized(id, priority)
    local count = redis.call('INCR', prefix .. 'pc')
    redis.call('ZADD', prioritized, priority * 4294967296 + count % 4294967296, id)
end

-- The steps for jobs with owners, which most queues have none of.
local madeTurns
local function turns()
    local function make()
@include turn
    end
    madeTurns = madeTurns or make()
    return madeTurns
end

-- Ready to be taken; `isNext` puts a job without a priority at the head.
local function pushReady(id, priority, isNext)
    if priority > 0 then
        pushPrioritized(id, priority)
    else
        redis.call(isNext and 'RPUSH' or 'LPUSH', wait, id)
    end
end

-- The priority of a further attempt: that of the job, or a new turn of its owner.
local function priorityAgain(key, priority, owner)
    if not owner then
        return whole(priority or '') or 0
    end
    local turn = turns().give(owner, true)
    redis.call('HSET', key, 'priority', digits(turn))
    return turn
end

-- A job that was delayed is ready. One whose first attempt this is keeps its turn.
local function pushPromoted(id)
    local key = prefix .. id
    local job = try('HMGET', key, 'name', 'priority', 'owner', 'atm') or {}
    local isFurther = (whole(job[4] or '') or 0) > 0
    pushReady(id, priorityAgain(key, job[2], isFurther and job[3]), false)
    emit('waiting', 'jobId', id, 'prev', 'delayed')
    if job[1] then
        redis.call('HSET', key, 'delay', 0)
    end
end

-- due · 4096 + the first free place within that millisecond. Returns the due time in ms.
local function pushDelayed(id, timestamp, delay)
    local due = timestamp
    if delay > 0 then
        due = timestamp + delay
    end
    local score = due * 4096
    local last = redis.call('ZREVRANGEBYSCORE', delayed, score + 4095, score, 'WITHSCORES', 'LIMIT', 0, 1)
    if last[2] then
        score = math.min(tonumber(last[2]) + 1, score + 4095)
    end
    redis.call('ZADD', delayed, score, id)
    return due
end

-- Moves what is due by `now` (ms) from `delayed` to where it is taken from, at most 1000 jobs a call.
local function promote(now)
    local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', digits((now + 1) * 4096 - 1), 'LIMIT', '0', '1000')
    if #due == 0 then
        return
    end
    redis.call('ZREM', delayed, unpack(due))
    for _, id in ipairs(due) do
        pushPromoted(id)
    end
    markBase()
end
