-- Takes ready jobs for a worker and starts them.
-- Needs: queue, place.

-- How many jobs are asked for; how many the worker holds when it works some alone, else nil; and how many jobs of one
-- owner may run, nil for any number.
local function readCount(text)
    local count, held, ownerMax = string.match(text, '^(%d+)/?(%d*):?(%d*)$')
    return tonumber(count), tonumber(held), tonumber(ownerMax)
end

-- The steps that keep owners' jobs within a bound.
local madeParking
local function parking()
    local function make()
@include parking
    end
    madeParking = madeParking or make()
    return madeParking
end

-- Takes up to `count` of `prioritized` and of the parked jobs, in the order of their turns: one when any are parked.
-- Those of `taken` are not started yet. Returns ids and scores, and whether there may be more.
local function takeByTurn(count, ownerMax, taken)
    if ownerMax and redis.call('EXISTS', prefix .. 'parked') == 1 then
        local first = parking().takeNext(ownerMax, taken)
        return first, #first > 0
    end
    local first = redis.call('ZPOPMIN', prioritized, count)
    if #first == 0 and not ownerMax and redis.call('EXISTS', prefix .. 'parked') == 1 then
        -- There was a bound.
        first = parking().takeNext(math.huge, taken)
        return first, #first > 0
    end
    return first, false
end

-- Moves up to `count` ids to `active`, in the order in which they are to be worked. Returns them, the scores of those
-- that came by their turns, and whether there may be more although they are fewer.
local function takeIds(count, ownerMax)
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
    local ids, isEmpty, hasMore = {}, count == 1, false
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
        local first
        first, hasMore = takeByTurn(count - #ids, ownerMax, ids)
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
    return ids, scores, hasMore
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

-- So many jobs are parked in one step.
local maxParked = 200

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
-- to life again with two fields; and when the id is no text. With `others`, the jobs beside it, not nil, the fourth
-- result tells whether the job is to be worked alone; when there are others it is not started then. The last result is
-- the job's owner; when `isFull` says that his places are all in use the job is not started, unless it is to fail.
local function start(id, nowText, token, lockMs, worker, others, isFull)
    local key = prefix .. id
    local hash = try('HGETALL', key)
    local name, starts, deferred, size, stalls, owner = false, 0, false, 0, 0, nil
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
        elseif field == 'owner' then
            owner = value
        end
    end
    if owner and name and not deferred and isFull and isFull(owner) then
        return nil, 0, false, false, owner
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
    return { id, starts, hash }, size, deferred, isAlone, owner
end

-- Takes up to `count` jobs. Time and lock duration are text, in ms; `ownMax` and `ownDuration` are the worker's own rate
-- limit, nil for none; `held` is how many jobs the worker has when it works some alone, else nil; `ownerMax` is how many
-- jobs of one owner may run, nil for any number.
-- Returns the jobs, fewer when they are large; the ms for which a rate limit forbids more, or -1 when the worker must
-- have ended its jobs before it takes more, and the ms at which the next delayed job is due, both 0 for none; and the ids
-- that were refused: no job lies behind them, or they are no text.
local function fetchJobs(nowText, count, held, ownerMax, token, lockMs, worker, ownMax, ownDuration)
    local jobs, refused, limited, due, bytes, parked = {}, {}, 0, 0, 0, 0
    local now = tonumber(nowText)
    local max, duration = globalMax or ownMax, ownDuration or globalDuration
    promote(now)
    while #jobs < count and #refused < 1000 and parked < maxParked and bytes < maxReplyBytes and not isPaused
        and limited == 0 do
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
        local ids, scores, hasMore = takeIds(free, ownerMax)
        local isFull = ownerMax and function(owner) return parking().isFull(owner, ownerMax, ids) end
        for index, id in ipairs(ids) do
            if bytes >= maxReplyBytes then
                putBack(ids, scores, index)
                break
            end
            local job, size, deferred, isAlone, owner =
                start(id, nowText, token, lockMs, worker, held and held + #jobs, isFull)
            if isAlone then
                putBack(ids, scores, job and index + 1 or index)
                limited = -1
            end
            if job and owner then
                parking().add(owner)
                if scores[index] then
                    turns().begin(scores[index])
                end
            end
            if job then
                jobs[#jobs + 1] = job
                bytes = bytes + size
                if max and not deferred and redis.call('INCR', limiter) == 1 and duration then
                    redis.call('PEXPIRE', limiter, duration)
                end
            elseif owner then
                parking().park(id, owner, scores[index], now)
                parked = parked + 1
            elseif not isAlone then
                refused[#refused + 1] = id
            end
            if isAlone then
                break
            end
        end
        if #ids < free and not hasMore then
            if #jobs < count then
                local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
                if first[2] then
                    due = math.floor(tonumber(first[2]) / 4096)
                end
            end
            break
        end
    end
    -- One wake-up spreads to the next idle worker, however many jobs there are; also one that this worker cannot use,
    -- and its own when more are to be parked.
    if #jobs > 0 or limited < 0 or parked >= maxParked then
        redis.call('ZADD', marker, '0', '0')
    end
    return jobs, limited, due, refused
end
