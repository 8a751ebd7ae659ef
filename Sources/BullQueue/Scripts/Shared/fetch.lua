-- Takes ready jobs for a worker and starts them.
-- Needs: queue, place.

-- How many jobs are asked for, and how many the worker holds when it works some alone, else nil.
local function readCount(text)
    local count, held = string.match(text, '^(%d+)/?(%d*)$')
    return tonumber(count), tonumber(held)
end

-- Moves up to `count` ids to `active`, in the order in which they are to be worked. Returns them and the scores of those
-- that came from `prioritized`.
local function takeIds(count)
    local scores = {}
    if count == 1 then
        local id = redis.call('RPOPLPUSH', wait, active)
        while id and string.sub(id, 1, 2) == '0:' do
            -- A wake-up marker of version 4 is no job.
            redis.call('LREM', active, 1, id)
            id = redis.call('RPOPLPUSH', wait, active)
        end
        if id then
            return { id }, scores
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
            scores[#ids] = first[index + 1]
        end
        if #first == 0 then
            redis.call('DEL', prefix .. 'pc')
        end
    end
    if #ids > 0 then
        redis.call('LPUSH', active, unpack(ids))
    end
    return ids, scores
end

-- Puts those from `first` on back to where they came from, in their order.
local function putBack(ids, scores, first)
    for index = #ids, first, -1 do
        redis.call('LREM', active, 1, ids[index])
        if scores[index] then
            redis.call('ZADD', prioritized, scores[index], ids[index])
        else
            redis.call('RPUSH', wait, ids[index])
        end
    end
end

-- A client reads replies of 32 MiB at most, so one holds few large jobs, and the hash of a job beyond any use shrinks to
-- its short fields and the reason why it fails.
local maxJobBytes, maxReplyBytes = 16777216, 8388608

-- The hash of a job that is too large, as it may be told.
local function shortened(hash, size)
    local short = {}
    for index = 1, #hash, 2 do
        if #hash[index] + #hash[index + 1] <= 1024 and #short < 200 then
            short[#short + 1] = hash[index]
            short[#short + 1] = hash[index + 1]
        end
    end
    short[#short + 1] = 'defa'
    short[#short + 1] = 'the job has ' .. digits(size) .. ' bytes; at most ' .. digits(maxJobBytes) .. ' can be worked'
    return short
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

-- Starts a job: locks it, counts the start, and returns { id, starts so far, hash as it was before }, its bytes, and
-- whether it is to fail without being run. Nil when no job lies behind the id, since a removed hash would otherwise come
-- to life again with two fields; and when the id is no text. With `others`, the jobs beside it, not nil, the last result
-- tells whether the job is to be worked alone; when there are others it is not started then.
local function start(id, nowText, token, lockMs, worker, others)
    local key = prefix .. id
    local hash = try('HGETALL', key)
    local name, starts, deferred, size, stalls = false, 0, false, 0, 0
    for index = 1, hash and #hash or 0, 2 do
        local field, value = hash[index], hash[index + 1]
        size = size + #field + #value
        if field == 'name' then
            name = true
        elseif field == 'ats' then
            starts = math.max(0, whole(value) or 0)
        elseif field == 'defa' then
            deferred = true
        elseif field == 'stc' then
            stalls = whole(value) or 0
        end
    end
    local isAlone = others ~= nil and stalls > 0 and not deferred
    if isAlone and others > 0 and name then
        return nil, 0, false, true
    end
    if not name or not isText(id) then
        redis.call('LREM', active, 1, id)
        redis.call('DEL', key .. ':lock')
        if hash and not name then
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
    if size > maxJobBytes then
        hash, size = shortened(hash, size), 0
    end
    return { id, starts, hash }, size, deferred, isAlone
end

-- Takes up to `count` jobs. Time and lock duration are text, in ms; `ownMax` and `ownDuration` are the worker's own rate
-- limit, nil for none; `held` is how many jobs the worker has when it works some alone, else nil.
-- Returns the jobs, fewer when they are large; the ms for which a rate limit forbids more, or -1 when the worker must
-- have ended its jobs before it takes more, and the ms at which the next delayed job is due, both 0 for none; and the ids
-- that were refused: no job lies behind them, or they are no text.
local function fetchJobs(nowText, count, held, token, lockMs, worker, ownMax, ownDuration)
    local jobs, refused, limited, due, bytes = {}, {}, 0, 0, 0
    local now = tonumber(nowText)
    local max, duration = globalMax or ownMax, ownDuration or globalDuration
    promote(now)
    while #jobs < count and #refused < 1000 and bytes < maxReplyBytes and not isPaused and limited == 0 do
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
        local ids, scores = takeIds(free)
        for index, id in ipairs(ids) do
            if bytes >= maxReplyBytes then
                putBack(ids, scores, index)
                break
            end
            local job, size, deferred, isAlone = start(id, nowText, token, lockMs, worker, held and held + #jobs)
            if isAlone then
                putBack(ids, scores, job and index + 1 or index)
                limited = -1
            end
            if job then
                jobs[#jobs + 1] = job
                bytes = bytes + size
                if max and not deferred and redis.call('INCR', limiter) == 1 and duration then
                    redis.call('PEXPIRE', limiter, duration)
                end
            elseif not isAlone then
                refused[#refused + 1] = id
            end
            if isAlone then
                break
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
    -- One wake-up spreads to the next idle worker, however many jobs there are; also one that this worker cannot use.
    if #jobs > 0 or limited < 0 then
        redis.call('ZADD', marker, '0', '0')
    end
    return jobs, limited, due, refused
end
