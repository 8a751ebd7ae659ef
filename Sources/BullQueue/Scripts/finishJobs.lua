-- Moves jobs from `active` to `completed` or `failed`, each on its own merits, and takes further ones in the same step.
-- Joined with: plain, queue, place, fetch, remove; held, add, deduplication, parent for the few jobs that need them.
--
-- KEYS[1]     the queue's prefix
-- ARGV[1..7]  as in fetchJobs; ARGV[2] = 0 takes none
-- Then for each job 6 of ARGV:
--   1  id
--   2  lock token
--   3  'completed' or 'failed'
--   4  return value as JSON, or the reason as plain text
--   5  the attempts made with this one
--   6  '' or JSON of what few jobs have:
--        count       keep at most so many finished jobs, 0 removes this one at once; all when absent
--        age, limit  remove finished jobs older than this, ms, at most so many a call; none when absent
--        stacktrace  JSON array as text
--        attempts    of a failed job: its attempts in all
--        related     it has a deduplication or a parent, or may have got a parent since it was started
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

@include plain
@include queue
@include place
@include fetch
@include remove

local nowText, now = ARGV[1], tonumber(ARGV[1])
local codes, keys, ids, more = {}, {}, {}, {}
local locks, asked = {}, {}
local keepsAll = true
for first = 8, #ARGV, 6 do
    local number, key = #ids + 1, prefix .. ARGV[first]
    ids[number], keys[number], locks[number] = ARGV[first], key, key .. ':lock'
    local at = #asked
    asked[at + 1], asked[at + 2], asked[at + 3] = key, key, key
    asked[at + 4], asked[at + 5] = key .. ':dependencies', key .. ':unsuccessful'
    if ARGV[first + 5] ~= '' then
        more[number] = cjson.decode(ARGV[first + 5])
        keepsAll = keepsAll and not more[number].count and not more[number].age
    end
end

-- What the jobs of a step have in common is done at once.
local holders = redis.call('MGET', unpack(locks))
-- A key counts as often as it is named: this many only when every job exists and none has children.
local isPlain = redis.call('EXISTS', unpack(asked)) == #keys * 3
local allExist = isPlain or redis.call('EXISTS', unpack(keys)) == #keys
local seen, ready, scores = {}, {}, { completed = {}, failed = {} }
local freeLocks, freeIds = {}, {}
for number, id in ipairs(ids) do
    local key, token, target, code = keys[number], ARGV[number * 6 + 3], ARGV[number * 6 + 4], 0
    if not allExist and not (try('HGET', key, 'name')) then
        code = -1
    elseif not isPlain and target == 'completed' and (try('SCARD', key .. ':dependencies') or 0) > 0 then
        code = -4
    elseif not isPlain and target == 'completed' and (try('ZCARD', key .. ':unsuccessful') or 0) > 0 then
        code = -9
    elseif token ~= '0' and holders[number] ~= token then
        code = holders[number] and -6 or -2
    elseif seen[id] then
        code = -3 -- Named twice.
    else
        seen[id] = true
        ready[#ready + 1] = number
        if token ~= '0' then
            freeLocks[#freeLocks + 1], freeIds[#freeIds + 1] = locks[number], id
        end
        local set = scores[target]
        set[#set + 1], set[#set + 2] = nowText, id
    end
    codes[number] = code
end
if #freeLocks > 0 then
    redis.call('DEL', unpack(freeLocks))
    try('SREM', stalled, unpack(freeIds))
end
if keepsAll then
    for target, set in pairs(scores) do
        if #set > 0 then
            redis.call('ZADD', prefix .. target, unpack(set))
        end
    end
end

-- Those that have a deduplication or a parent are few. Whatever others have made of the keys of these, a job that has
-- left its list goes on. Returns the code.
local tellRelated
local function learnRelations()
@include add
@include deduplication
@include parent
    return function(id, key, succeeded, value)
        local job = redis.call('HMGET', key, 'deid', 'parentKey', 'parent')
        local isTold = true
        if job[1] then
            isTold = pcall(releaseDeduplication, id, job[1], now)
        end
        if job[2] then
            isTold = pcall(tellParent, key, job[2], job[3], succeeded, value, now) and isTold
        end
        return isTold and 0 or 1
    end
end

-- Takes the jobs out of `active`: one by one, or, when there are many, by writing anew what is left of a list that is
-- not much longer. Marks with code -3 those that were not there.
local function leaveActive()
    local running = #ready > 4 and redis.call('LLEN', active) <= #ready * 4 and redis.call('LRANGE', active, 0, -1)
    if not running then
        for _, number in ipairs(ready) do
            if redis.call('LREM', active, '-1', ids[number]) == 0 then
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
    local id, key, first = ids[number], keys[number], number * 6 + 2
    local target, value, made, its = ARGV[first + 2], ARGV[first + 3], ARGV[first + 4], more[number]
    local set, succeeded = prefix .. target, target == 'completed'
    if codes[number] == -3 then
        if keepsAll then
            redis.call('ZREM', set, id)
        end
    else
        finished = finished + 1
        if its and its.related then
            tellRelated = tellRelated or learnRelations()
            codes[number] = tellRelated(id, key, succeeded, value)
        end
        if its and its.count == 0 then
            removeJob(id)
        else
            local field = succeeded and 'returnvalue' or 'failedReason'
            redis.call('HSET', key, 'atm', made, field, value, 'finishedOn', nowText)
            if not succeeded then
                if its and its.stacktrace then
                    redis.call('HSET', key, 'stacktrace', its.stacktrace)
                end
                redis.call('HDEL', key, 'defa')
            end
            if not keepsAll then
                redis.call('ZADD', set, nowText, id)
                if its and its.age then
                    local last = now - its.age
                    removeAll(set, redis.call('ZRANGEBYSCORE', set, '-inf', last, 'LIMIT', 0, its.limit or 1000))
                end
                if its and its.count then
                    removeAll(set, redis.call('ZRANGE', set, 0, -(its.count + 1)))
                end
            end
        end
        if not succeeded then
            emitCapped('failed', 'jobId', id, 'failedReason', value, 'prev', 'active')
            if tonumber(made) >= (its and its.attempts or 0) then
                emit('retries-exhausted', 'jobId', id, 'attemptsMade', made)
            end
        elseif finished == 1 then
            emitCapped('completed', 'jobId', id, 'returnvalue', value, 'prev', 'active')
        else
            redis.call('XADD', events, '*', 'event', 'completed', 'jobId', id, 'returnvalue', value, 'prev', 'active')
        end
    end
end

local taken, limited, due, refused = {}, 0, 0, {}
local count, held, ownerMax = readCount(ARGV[2])
if count > 0 then
    taken, limited, due, refused = fetchJobs(
        nowText, count, held, ownerMax, ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]))
elseif finished > 0 and redis.call('EXISTS', prefix .. 'parked') == 1 then
    -- An owner may have a free place, and this worker does not take the next job.
    markBase()
end
if finished > 0 and #taken == 0 and limited == 0 and due == 0 and redis.call('LLEN', wait) == 0
    and redis.call('LLEN', active) == 0 and redis.call('ZCARD', prioritized) == 0 then
    emit('drained')
end
return { codes, taken, limited, due, refused }
