-- Has jobs that have ended worked again. A child goes back to those that its parent waits for.
-- Joined with: queue, place, job, parent.
--
-- KEYS[1]   the queue's prefix
-- ARGV[1]   'failed' or 'completed': where they are
-- ARGV[2]   'reset' to count attempts, starts and stalls from zero again, else ''
-- ARGV[3..] ids
--
-- Returns a code for each id: 1 waits again, -1 there is no such job, -3 it is not in that state.

@include queue
@include place
@include job
@include parent

local state, isReset = ARGV[1], ARGV[2] == 'reset'

-- A parent that counted the child as ended waits for it again; one that never noted its end is left alone.
local function returnToParent(id, parentKey)
    if not parentKey or redis.call('EXISTS', parentKey) == 0 then
        return
    end
    local child = prefix .. id
    local noted = (try('HDEL', parentKey .. ':processed', child) or 0) + (try('HDEL', parentKey .. ':failed', child) or 0)
        + (try('ZREM', parentKey .. ':unsuccessful', child) or 0)
    if noted > 0 then
        try('SADD', parentKey .. ':dependencies', child)
    end
end

local codes = {}
for index = 3, #ARGV do
    local id = ARGV[index]
    local key = prefix .. id
    local code = 1
    if not isJob(id) then
        code = -1
    elseif redis.call('ZREM', prefix .. state, id) == 0 then
        code = -3
    else
        local job = redis.call('HMGET', key, 'priority', 'opts', 'parentKey', 'owner')
        redis.call('HDEL', key, 'finishedOn', 'processedOn', state == 'failed' and 'failedReason' or 'returnvalue')
        if isReset then
            redis.call('HDEL', key, 'atm', 'ats', 'stc', 'attemptsMade')
        end
        local isJSON, options = pcall(cjson.decode, job[2] or '')
        local isNext = isJSON and type(options) == 'table' and options.lifo == true
        pushReady(id, priorityAgain(key, job[1], job[4]), isNext)
        markBase()
        returnToParent(id, job[3])
        emitCapped('waiting', 'jobId', id, 'prev', state)
    end
    codes[#codes + 1] = code
end
return codes
