-- Puts jobs where they wait: `wait`, `prioritized` or `delayed`.

-- priority · 2^32 + running number: first by priority, then in the order of arrival.
local function pushPrioritized(id, priority)
    local count = redis.call('INCR', prefix .. 'pc')
    redis.call('ZADD', prioritized, priority * 4294967296 + count % 4294967296, id)
end

-- Ready to be taken; `isNext` puts a job without a priority at the head.
local function pushReady(id, priority, isNext)
    if priority > 0 then
        pushPrioritized(id, priority)
    else
        redis.call(isNext and 'RPUSH' or 'LPUSH', wait, id)
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
        local key = prefix .. id
        local job = try('HMGET', key, 'name', 'priority')
        pushReady(id, job and whole(job[2] or '') or 0, false)
        emit('waiting', 'jobId', id, 'prev', 'delayed')
        if job and job[1] then
            redis.call('HSET', key, 'delay', 0)
        end
    end
    markBase()
end
