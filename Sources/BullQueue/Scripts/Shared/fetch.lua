-- Takes ready jobs for a worker and starts them.
-- Needs: queue, place.

-- Moves up to `count` ids to `active`, in the order in which they are to be worked.
local function takeIds(count)
    if count == 1 then
        local id = redis.call('RPOPLPUSH', wait, active)
        while id and string.sub(id, 1, 2) == '0:' do
            -- A wake-up marker of version 4 is no job.
            redis.call('LREM', active, 1, id)
            id = redis.call('RPOPLPUSH', wait, active)
        end
        if id then
            return { id }
        end
    end
    local ids, isEmpty = {}, count == 1
    while #ids < count and not isEmpty do
        local last = redis.call('LRANGE', wait, #ids - count, -1)
        isEmpty = #last < count - #ids
        if #last > 0 then
            redis.call('LTRIM', wait, 0, -1 - #last)
        end
        for index = #last, 1, -1 do
            if string.sub(last[index], 1, 2) ~= '0:' then
                ids[#ids + 1] = last[index]
            end
        end
    end
    if #ids < count then
        local first = redis.call('ZPOPMIN', prioritized, count - #ids)
        for index = 1, #first, 2 do
            ids[#ids + 1] = first[index]
        end
        if #first == 0 then
            redis.call('DEL', prefix .. 'pc')
        end
    end
    if #ids > 0 then
        redis.call('LPUSH', active, unpack(ids))
    end
    return ids
end

-- Starts a job: locks it, counts the start, and returns { id, starts so far, hash as it was before }, and whether it is
-- to fail without being run. Nil when no job lies behind the id: a removed hash would otherwise come to life again with
-- two fields.
local function start(id, nowText, token, lockMs, worker)
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
    if token ~= '0' then
        redis.call('PSETEX', key .. ':lock', lockMs, token)
    end
    redis.call('XADD', events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
    starts = starts + 1
    if worker ~= '' then
        redis.call('HSET', key, 'processedOn', nowText, 'ats', digits(starts), 'pb', worker)
    else
        redis.call('HSET', key, 'processedOn', nowText, 'ats', digits(starts))
    end
    return { id, starts, hash }, deferred
end

-- Takes up to `count` jobs. Time and lock duration are text, in ms; `ownMax` and `ownDuration` are the worker's own rate limit, nil for none.
-- Returns the jobs, the ms for which a rate limit forbids more, the ms at which the next delayed job is due (both 0
-- for none), and the ids that were refused because no job lies behind them.
local function fetchJobs(nowText, count, token, lockMs, worker, ownMax, ownDuration)
    local jobs, refused, limited, due = {}, {}, 0, 0
    local now = tonumber(nowText)
    local max, duration = globalMax or ownMax, ownDuration or globalDuration
    promote(now)
    while #jobs < count and #refused < 1000 and not isPaused do
        local free = count - #jobs
        if max then
            -- One at a time: a job that is to fail does not count.
            free = 1
            if (whole(redis.call('GET', limiter) or '') or 0) >= max then
                local left = redis.call('PTTL', limiter)
                if left > 0 then
                    limited = left
                    break
                elseif left == 0 then
                    redis.call('DEL', limiter)
                end
            end
        end
        if globalConcurrency then
            free = math.min(free, globalConcurrency - redis.call('LLEN', active))
            if free <= 0 then
                break
            end
        end
        local ids = takeIds(free)
        for _, id in ipairs(ids) do
            local job, deferred = start(id, nowText, token, lockMs, worker)
            if not job then
                refused[#refused + 1] = id
            else
                jobs[#jobs + 1] = job
                if max and not deferred and redis.call('INCR', limiter) == 1 and duration then
                    redis.call('PEXPIRE', limiter, duration)
                end
            end
        end
        if #ids < free then
            if #jobs < count then
                local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
                if first[2] then
                    due = math.floor(tonumber(first[2]) / 4096)
                end
            end
            break
        end
    end
    -- One wake-up spreads to the next idle worker, however many jobs there are.
    if #jobs > 0 then
        redis.call('ZADD', marker, '0', '0')
    end
    return jobs, limited, due, refused
end
