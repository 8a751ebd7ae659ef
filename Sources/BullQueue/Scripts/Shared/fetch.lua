-- Takes ready jobs for a worker and starts them.

local function nextId()
    local id = redis.call('RPOPLPUSH', wait, active)
    while id do
        if string.sub(id, 1, 2) ~= '0:' then
            return id
        end
        -- A wake-up marker of version 4 is no job.
        redis.call('LREM', active, 1, id)
        id = redis.call('RPOPLPUSH', wait, active)
    end
    id = redis.call('ZPOPMIN', prioritized)[1]
    if id then
        redis.call('LPUSH', active, id)
        return id
    end
    redis.call('DEL', prefix .. 'pc')
    return nil
end

-- Starts a job: locks it, counts the start, and returns { id, starts so far, hash as it was before }.
-- Nil when no job lies behind the id: a removed hash would otherwise come to life again with two fields.
local function start(id, now, token, lockMs, worker, max, duration)
    local key = prefix .. id
    local hash = try('HGETALL', key)
    local name, starts, deferred = false, 0, false
    for index = 1, hash and #hash or 0, 2 do
        local field = hash[index]
        if field == 'name' then
            name = true
        elseif field == 'ats' then
            starts = whole(hash[index + 1]) or 0
        elseif field == 'defa' then
            deferred = true
        end
    end
    if not name then
        redis.call('LREM', active, 1, id)
        redis.call('DEL', key .. ':lock')
        if hash then
            redis.call('DEL', key)
        end
        return nil
    end
    if max and not deferred and redis.call('INCR', limiter) == 1 and duration then
        redis.call('PEXPIRE', limiter, duration)
    end
    if token ~= '0' then
        redis.call('SET', key .. ':lock', token, 'PX', lockMs)
    end
    emit('active', 'jobId', id, 'prev', 'waiting')
    starts = starts + 1
    if worker ~= '' then
        redis.call('HSET', key, 'processedOn', now, 'ats', starts, 'pb', worker)
    else
        redis.call('HSET', key, 'processedOn', now, 'ats', starts)
    end
    return { id, starts, hash }
end

-- Takes up to `count` jobs. `ownMax` and `ownDuration` are the worker's own rate limit, nil for none.
-- Returns the jobs, the ms for which a rate limit forbids more, the ms at which the next delayed job is due (both 0
-- for none), and the ids that were refused because no job lies behind them.
local function fetchJobs(now, count, token, lockMs, worker, ownMax, ownDuration)
    local jobs, refused, limited, due = {}, {}, 0, 0
    local max, duration = globalMax or ownMax, ownDuration or globalDuration
    promote(now)
    while #jobs < count and #refused < 1000 do
        if max and (whole(redis.call('GET', limiter) or '') or 0) >= max then
            local left = redis.call('PTTL', limiter)
            if left > 0 then
                limited = left
                break
            elseif left == 0 then
                redis.call('DEL', limiter)
            end
        end
        if isPaused or isMaxed() then
            break
        end
        local id = nextId()
        if not id then
            local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
            if first[2] then
                due = math.floor(tonumber(first[2]) / 4096)
            end
            break
        end
        local job = start(id, now, token, lockMs, worker, max, duration)
        jobs[#jobs + 1] = job
        if not job then
            refused[#refused + 1] = id
        end
    end
    -- One wake-up spreads to the next idle worker, however many jobs there are.
    if #jobs > 0 then
        redis.call('ZADD', marker, 0, '0')
    end
    return jobs, limited, due, refused
end
