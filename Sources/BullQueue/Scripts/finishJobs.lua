-- Moves jobs from `active` to `completed` or `failed`, each on its own merits, and takes further ones in the same step.
-- Joined with: queue, place, fetch, remove; held, add, deduplication, parent for the few jobs that need them.
--
-- KEYS[1]     the queue's prefix
-- ARGV[1..7]  as in fetchJobs; ARGV[2] = 0 takes none
-- Then for each job 9 of ARGV:
--   1  id
--   2  lock token
--   3  'completed' or 'failed'
--   4  return value as JSON, or the reason as plain text
--   5  stacktrace, JSON array, or '' to leave it
--   6  keep at most so many finished jobs: -1 all, 0 removes this one at once
--   7  remove finished jobs older than this, ms; -1 none
--   8  at most so many of these a call
--   9  the job's attempts in all
--
-- Returns { codes, jobs, limited, due, refused }; the last four as in fetchJobs. A code a job:
--    1  finished, but its parent or the job parked behind its deduplication could not be updated (a key's type is wrong)
--    0  finished
--   -1  the job's hash is missing
--   -2  its lock is missing
--   -3  it is not in `active`
--   -4  it has children that are not finished
--   -6  its lock is held by another token
--   -9  it has failed children

@include queue
@include place
@include fetch
@include remove

local nowText, now = ARGV[1], tonumber(ARGV[1])
local codes, keys, ids = {}, {}, {}
local locks, subKeys = {}, {}
local keepsAll = true
for first = 8, #ARGV, 9 do
    local number, key = #ids + 1, prefix .. ARGV[first]
    ids[number], keys[number], locks[number] = ARGV[first], key, key .. ':lock'
    subKeys[number * 2 - 1], subKeys[number * 2] = key .. ':dependencies', key .. ':unsuccessful'
    keepsAll = keepsAll and ARGV[first + 5] == '-1' and ARGV[first + 6] == '-1'
end

-- What the jobs of a step have in common is done at once.
local holders = redis.call('MGET', unpack(locks))
local mayHaveChildren = redis.call('EXISTS', unpack(subKeys)) > 0
local jobs, ready, free, scores = {}, {}, {}, { completed = {}, failed = {} }
for number, id in ipairs(ids) do
    local key, token, target, code = keys[number], ARGV[number * 9], ARGV[number * 9 + 1], 0
    local job = try('HMGET', key, 'name', 'atm', 'deid', 'parentKey')
    if not job or not job[1] then
        code = -1
    elseif mayHaveChildren and target == 'completed' and (try('SCARD', key .. ':dependencies') or 0) > 0 then
        code = -4
    elseif mayHaveChildren and target == 'completed' and (try('ZCARD', key .. ':unsuccessful') or 0) > 0 then
        code = -9
    elseif token ~= '0' and holders[number] ~= token then
        code = holders[number] and -6 or -2
    elseif jobs[key] then
        code = -3 -- Named twice.
    else
        jobs[key] = job
        ready[#ready + 1] = number
        if token ~= '0' then
            free[#free + 1] = number
        end
        local set = scores[target]
        set[#set + 1], set[#set + 2] = nowText, id
    end
    codes[number] = code
end
if #free > 0 then
    local freeLocks, freeIds = {}, {}
    for index, number in ipairs(free) do
        freeLocks[index], freeIds[index] = locks[number], ids[number]
    end
    redis.call('DEL', unpack(freeLocks))
    redis.call('SREM', stalled, unpack(freeIds))
end
if keepsAll then
    for target, set in pairs(scores) do
        if #set > 0 then
            redis.call('ZADD', prefix .. target, unpack(set))
        end
    end
end

-- Those that have a deduplication or a parent are few.
local releaseDeduplication, tellParent
local function learnRelations()
@include add
@include deduplication
@include parent
    return function(id, name, time)
        return pcall(releaseDeduplication, id, name, time)
    end, function(...)
        return pcall(tellParent, ...)
    end
end

redis.call('XTRIM', events, 'MAXLEN', '~', maxEvents)

-- Takes the jobs out of `active`: one by one, or, when there are many, by writing anew what is left of a list that is
-- not much longer. Marks with code -3 those that were not there.
local function leaveActive()
    local running = #ready > 4 and redis.call('LLEN', active) <= #ready * 4 and redis.call('LRANGE', active, 0, -1)
    if not running then
        for _, number in ipairs(ready) do
            if redis.call('LREM', active, -1, ids[number]) == 0 then
                codes[number] = -3
            end
        end
        return
    end
    local leaving, left = {}, {}
    for _, number in ipairs(ready) do
        leaving[ids[number]] = number
    end
    -- Of an id that stands there twice the one next to the tail goes.
    for index = #running, 1, -1 do
        local id = running[index]
        if leaving[id] then
            leaving[id] = nil
        else
            left[#left + 1] = id
        end
    end
    for _, number in pairs(leaving) do
        codes[number] = -3
    end
    redis.call('DEL', active)
    if #left > 0 then
        redis.call('LPUSH', active, unpack(left))
    end
end

if #ready > 0 then
    leaveActive()
end
local finished = 0
for _, number in ipairs(ready) do
    local id, key, first = ids[number], keys[number], number * 9 - 1
    local job, target, value = jobs[key], ARGV[first + 2], ARGV[first + 3]
    local set, succeeded = prefix .. target, target == 'completed'
    if codes[number] == -3 then
        if keepsAll then
            redis.call('ZREM', set, id)
        end
    else
        finished = finished + 1
        -- The job has left its list: whatever others have made of the keys of its deduplication or parent, it goes on.
        local isTold = true
        if job[3] or job[4] then
            if not tellParent then
                releaseDeduplication, tellParent = learnRelations()
            end
            if job[3] then
                isTold = releaseDeduplication(id, job[3], now)
            end
            if job[4] then
                local parent = redis.call('HGET', key, 'parent')
                isTold = tellParent(key, job[4], parent, succeeded, value, now) and isTold
            end
        end
        local made = (whole(job[2] or '') or 0) + 1
        local keepCount = tonumber(ARGV[first + 5])
        if keepCount == 0 then
            removeJob(id)
        else
            local valueField = succeeded and 'returnvalue' or 'failedReason'
            redis.call('HSET', key, 'atm', digits(made), valueField, value, 'finishedOn', nowText)
            if not succeeded then
                if ARGV[first + 4] ~= '' then
                    redis.call('HSET', key, 'stacktrace', ARGV[first + 4])
                end
                redis.call('HDEL', key, 'defa')
            end
            if not keepsAll then
                redis.call('ZADD', set, nowText, id)
                local keepAge = tonumber(ARGV[first + 6])
                if keepAge >= 0 then
                    removeAll(
                        set,
                        redis.call(
                            'ZRANGEBYSCORE', set, '-inf', now - keepAge, 'LIMIT', 0, tonumber(ARGV[first + 7])))
                end
                if keepCount > 0 then
                    removeAll(set, redis.call('ZRANGE', set, 0, -(keepCount + 1)))
                end
            end
        end
        if succeeded then
            redis.call('XADD', events, '*', 'event', 'completed', 'jobId', id, 'returnvalue', value, 'prev', 'active')
        else
            emit('failed', 'jobId', id, 'failedReason', value, 'prev', 'active')
            if made >= tonumber(ARGV[first + 8]) then
                emit('retries-exhausted', 'jobId', id, 'attemptsMade', digits(made))
            end
        end
        if not isTold then
            codes[number] = 1
        end
    end
end

local taken, limited, due, refused = {}, 0, 0, {}
local count = tonumber(ARGV[2])
if count > 0 then
    taken, limited, due, refused = fetchJobs(
        nowText, count, ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]))
end
if finished > 0 and #taken == 0 and limited == 0 and due == 0 and redis.call('LLEN', wait) == 0
    and redis.call('LLEN', active) == 0 and redis.call('ZCARD', prioritized) == 0 then
    emit('drained')
end
return { codes, taken, limited, due, refused }
