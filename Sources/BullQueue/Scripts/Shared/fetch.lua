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

-- A client reads replies of 32 MiB at most, so one holds few large jobs, and the hash of a job beyond any use shrinks to
-- its short fields and the reason why it fails.
local maxJobBytes, maxReplyBytes = 16777216, 8388608

-- Returns the hash as it may be told, and its bytes.
local function bounded(hash)
    local size = 0
    for index = 1, #hash do
        size = size + #hash[index]
    end
    if size <= maxJobBytes then
        return hash, size
    end
    local short = {}
    for index = 1, #hash, 2 do
        if #hash[index] + #hash[index + 1] <= 1024 and #short < 200 then
            short[#short + 1] = hash[index]
            short[#short + 1] = hash[index + 1]
        end
    end
    short[#short + 1] = 'defa'
    short[#short + 1] = 'the job has ' .. digits(size) .. ' bytes; at most ' .. digits(maxJobBytes) .. ' can be worked'
    return short, 0
end

-- Whether an id is UTF-8. Clients keep ids as text: another one would come back changed, and its job could not be ended.
local function isText(id)
    if not string.find(id, '[\128-\255]') then
        return true
    end
    for _, sequence in ipairs({
        '[\194-\223][\128-\191]', '\224[\160-\191][\128-\191]', '[\225-\236\238\239][\128-\191][\128-\191]',
        '\237[\128-\159][\128-\191]', '\240[\144-\191][\128-\191][\128-\191]',
        '[\241-\243][\128-\191][\128-\191][\128-\191]', '\244[\128-\143][\128-\191][\128-\191]',
    }) do
        id = string.gsub(id, sequence, ' ')
    end
    return not string.find(id, '[\128-\255]')
end

-- Starts a job: locks it, counts the start, and returns { id, starts so far, hash as it was before } and its bytes.
-- Nil when no job lies behind the id, since a removed hash would otherwise come to life again with two fields; and when
-- the id is no text.
local function start(id, now, token, lockMs, worker, max, duration)
    local key = prefix .. id
    local hash = try('HGETALL', key)
    local name, starts, deferred = false, 0, false
    for index = 1, hash and #hash or 0, 2 do
        local field = hash[index]
        if field == 'name' then
            name = true
        elseif field == 'ats' then
            starts = math.max(0, whole(hash[index + 1]) or 0)
        elseif field == 'defa' then
            deferred = true
        end
    end
    if not name or not isText(id) then
        redis.call('LREM', active, 1, id)
        redis.call('DEL', key .. ':lock')
        if hash and not name then
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
    local told, size = bounded(hash)
    return { id, starts, told }, size
end

-- Takes up to `count` jobs. `ownMax` and `ownDuration` are the worker's own rate limit, nil for none.
-- Returns the jobs, fewer when they are large; the ms for which a rate limit forbids more and the ms at which the next
-- delayed job is due, both 0 for none; and the ids that were refused: no job lies behind them, or they are no text.
local function fetchJobs(now, count, token, lockMs, worker, ownMax, ownDuration)
    local jobs, refused, limited, due = {}, {}, 0, 0
    local max, duration, bytes = globalMax or ownMax, ownDuration or globalDuration, 0
    promote(now)
    while #jobs < count and #refused < 1000 and bytes < maxReplyBytes do
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
        local job, size = start(id, now, token, lockMs, worker, max, duration)
        jobs[#jobs + 1] = job
        bytes = bytes + (size or 0)
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
