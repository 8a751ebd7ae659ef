-- Moves jobs from `active` to `completed` or `failed`, each on its own merits, and takes further ones in the same step.
-- Joined with: queue, place, fetch, remove, deduplication, parent.
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
@include deduplication
@include parent

local now = tonumber(ARGV[1])

local function finish(id, token, target, value, stacktrace, keepCount, keepAge, keepLimit, attempts)
    local key = prefix .. id
    local job = try('HMGET', key, 'name', 'atm', 'deid', 'parentKey', 'parent', 'defa')
    if not job or not job[1] then
        return -1
    end
    local succeeded = target == 'completed'
    if succeeded then
        if (try('SCARD', key .. ':dependencies') or 0) > 0 then
            return -4
        elseif (try('ZCARD', key .. ':unsuccessful') or 0) > 0 then
            return -9
        end
    end
    local code = unlock(id, token)
    if code < 0 then
        return code
    end
    if redis.call('LREM', active, -1, id) == 0 then
        return -3
    end
    -- The job has left its list: whatever others have made of the keys of its deduplication or parent, it goes on.
    local isTold = true
    if job[3] then
        isTold = pcall(releaseDeduplication, id, job[3], now)
    end
    if job[4] then
        isTold = pcall(tellParent, key, job[4], job[5], succeeded, value, now) and isTold
    end
    local made = math.max(0, whole(job[2] or '') or 0) + 1
    if keepCount == 0 then
        removeJob(id)
    else
        local set = prefix .. target
        redis.call(
            'HSET', key, 'atm', made, succeeded and 'returnvalue' or 'failedReason', value, 'finishedOn', now)
        if stacktrace ~= '' then
            redis.call('HSET', key, 'stacktrace', stacktrace)
        end
        if job[6] and not succeeded then
            redis.call('HDEL', key, 'defa')
        end
        redis.call('ZADD', set, now, id)
        if keepAge >= 0 then
            removeAll(set, redis.call('ZRANGEBYSCORE', set, '-inf', now - keepAge, 'LIMIT', 0, keepLimit))
        end
        if keepCount > 0 then
            removeAll(set, redis.call('ZRANGE', set, 0, -(keepCount + 1)))
        end
    end
    if succeeded then
        emit('completed', 'jobId', id, 'returnvalue', value, 'prev', 'active')
    else
        emit('failed', 'jobId', id, 'failedReason', value, 'prev', 'active')
        if made >= attempts then
            emit('retries-exhausted', 'jobId', id, 'attemptsMade', made)
        end
    end
    return isTold and 0 or 1
end

trimEvents()
local codes, finished = {}, 0
for first = 8, #ARGV, 9 do
    local code = finish(
        ARGV[first], ARGV[first + 1], ARGV[first + 2], ARGV[first + 3], ARGV[first + 4], tonumber(ARGV[first + 5]),
        tonumber(ARGV[first + 6]), tonumber(ARGV[first + 7]), tonumber(ARGV[first + 8]))
    codes[#codes + 1] = code
    if code >= 0 then
        finished = finished + 1
    end
end
local jobs, limited, due, refused = {}, 0, 0, {}
local count = tonumber(ARGV[2])
if count > 0 then
    jobs, limited, due, refused = fetchJobs(
        now, count, ARGV[3], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]))
end
if finished > 0 and #jobs == 0 and limited == 0 and due == 0 and redis.call('LLEN', wait) == 0
    and redis.call('LLEN', active) == 0 and redis.call('ZCARD', prioritized) == 0 then
    emit('drained')
end
return { codes, jobs, limited, due, refused }
