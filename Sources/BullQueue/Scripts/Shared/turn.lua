-- Gives the jobs of owners their turns, by the priorities that every client of the queue goes by.
-- Needs: queue. Made by `place` when it is wanted; returns its steps.
--
-- This is fair queueing by start times. The queue's time is the priority of the job that was begun last, and a new job
-- gets the later of the queue's time and its owner's last turn, and one more. So of a thousand jobs of one owner each has
-- a turn of its own, another one's first job comes after those of the present turn, and who had no jobs for a while has
-- saved nothing up. Further attempts have turns of their own, as if they were another owner's: they neither wait for all
-- that their owner has queued meanwhile nor go before the jobs of others.
--
-- <prefix>fair-time  the queue's time
-- <prefix>fair       zset: `o:<owner>` and, for further attempts, `r:<owner>` by the last turn given, if that is to come
--
-- Both go when nothing was queued or begun for a week. BullMQ has 2 097 151 priorities, so turns begin with 1 again when
-- the time is half of that.

local highest, renewedAt, unit, lifetimeMs = 2097151, 1048576, 4294967296, 604800000

local function readTime()
    local time = whole(try('GET', prefix .. 'fair-time') or '')
    if time then
        return time
    end
    local first = redis.call('ZRANGE', prioritized, 0, 0, 'WITHSCORES')
    return first[2] and math.max(0, math.floor(tonumber(first[2]) / unit) - 1) or 0
end

local function writeTime(time)
    redis.call('SET', prefix .. 'fair-time', digits(time), 'PX', lifetimeMs)
end

-- Takes `time` from the turns of all jobs of a set that have owners. Their order stays.
local function lower(set, time)
    local jobs = redis.call('ZRANGE', set, 0, -1, 'WITHSCORES')
    for index = 1, #jobs, 2 do
        local key, score = prefix .. jobs[index], tonumber(jobs[index + 1])
        if try('HGET', key, 'owner') then
            local priority = math.max(1, math.floor(score / unit) - time)
            redis.call('ZADD', set, priority * unit + score % unit, jobs[index])
            redis.call('HSET', key, 'priority', digits(priority))
        end
    end
end

-- Has turns begin with 1 again: about once in a million.
local function renew(time)
    lower(prioritized, time)
    local owners = redis.call('ZRANGE', prefix .. 'parked', 0, -1, 'WITHSCORES')
    for index = 1, #owners, 2 do
        lower(prefix .. 'parked:' .. owners[index], time)
        redis.call('ZADD', prefix .. 'parked', math.max(unit, tonumber(owners[index + 1]) - time * unit), owners[index])
    end
    -- Such a job may be handed back to the place that its priority tells.
    for _, id in ipairs(redis.call('LRANGE', active, 0, -1)) do
        local job = try('HMGET', prefix .. id, 'owner', 'priority')
        if job and job[1] then
            redis.call('HSET', prefix .. id, 'priority', digits(math.max(1, (whole(job[2] or '') or 0) - time)))
        end
    end
    redis.call('ZREMRANGEBYSCORE', prefix .. 'fair', '-inf', time)
    local flows = redis.call('ZRANGE', prefix .. 'fair', 0, -1, 'WITHSCORES')
    for index = 1, #flows, 2 do
        redis.call('ZADD', prefix .. 'fair', tonumber(flows[index + 1]) - time, flows[index])
    end
end

local turns = {}

-- The priority of an owner's next job, or of a further attempt.
function turns.give(owner, isAgain)
    local time, flow = readTime(), (isAgain and 'r:' or 'o:') .. owner
    if time >= renewedAt then
        renew(time)
        time = 0
    end
    local last = whole(redis.call('ZSCORE', prefix .. 'fair', flow) or '') or 0
    local priority = math.min(math.max(last, time) + 1, highest)
    redis.call('ZREMRANGEBYSCORE', prefix .. 'fair', '-inf', time)
    redis.call('ZADD', prefix .. 'fair', priority, flow)
    redis.call('PEXPIRE', prefix .. 'fair', lifetimeMs)
    writeTime(time)
    return priority
end

-- Tells the queue's time that a job of this score is begun.
function turns.begin(score)
    local priority = math.floor(tonumber(score) / unit)
    if priority > readTime() then
        writeTime(priority)
    end
end

-- The lowest score of the turn that a new owner's first job would have.
function turns.next()
    return (readTime() + 1) * unit
end

-- The score at which an owner's next job is due when one was begun at this score.
function turns.after(score)
    return (math.floor(tonumber(score) / unit) + 1) * unit
end

return turns
