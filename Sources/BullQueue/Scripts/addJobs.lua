-- Adds jobs, in order and in one step: standard, prioritized or delayed.
-- Joined with: queue, place; add, remove, deduplication, parent, addOne for the few jobs that need them.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  how many jobs
-- Then for each job 4 or 8 of ARGV:
--   1  id, or '' for the next number
--   2  name
--   3  data, JSON
--   4  opts, JSON; or '', and nothing after it, when the last five are those of the job before
--   5  timestamp, ms since 1970
--   6  delay, ms; 0 for none
--   7  priority, 0 for none; or 'lifo' for a job without one that is to be taken next
--   8  '' or JSON of what few jobs have; see `addOne`
--
-- Returns for each job its number when it was added under that, else { id, code } as `addOne` gives them.

-- One plain job for a queue without settings, the most frequent call, goes without the shared steps: making them would
-- take a third of its time. Whatever is done here is done below, too.
if ARGV[1] == '1' and ARGV[2] == '' and ARGV[7] == '0' and ARGV[8] == '0' and ARGV[9] == '' then
    local prefix = KEYS[1]
    local settings = redis.call('HMGET', prefix .. 'meta', 'paused', 'concurrency', 'opts.maxLenEvents')
    if not settings[1] and not settings[2] and settings[3] and string.find(settings[3], '^[1-9]%d?%d?%d?%d?%d?%d?%d?$') then
        local number = redis.call('INCR', prefix .. 'id')
        local id, events = string.format('%d', number), prefix .. 'events'
        redis.call(
            'HSET', prefix .. id, 'name', ARGV[3], 'data', ARGV[4], 'opts', ARGV[5], 'timestamp', ARGV[6], 'delay', '0',
            'priority', '0')
        redis.call('XADD', events, 'MAXLEN', '~', settings[3], '*', 'event', 'added', 'jobId', id, 'name', ARGV[3])
        redis.call('XADD', events, '*', 'event', 'waiting', 'jobId', id)
        redis.call('LPUSH', prefix .. 'wait', id)
        redis.call('ZADD', prefix .. 'marker', '0', '0')
        return { number }
    end
end

@include queue
@include place

-- Few jobs have an id of their own, a deduplication or a parent.
local function learnToAddOne()
@include add
@include remove
@include deduplication
@include parent
@include addOne
    return addOne
end

local total = tonumber(ARGV[1])
local number = redis.call('INCRBY', prefix .. 'id', ARGV[1]) - total
local results, last, first, hasDelayed, hasReady = {}, {}, {}, false, false
local addOne

local function flush()
    if #last > 0 then
        redis.call('LPUSH', wait, unpack(last))
        last, hasReady = {}, true
    end
    if #first > 0 then
        redis.call('RPUSH', wait, unpack(first))
        first, hasReady = {}, true
    end
    if hasDelayed then
        markDelay()
    end
    if hasReady then
        markBase()
    end
    hasDelayed, hasReady = false, false
end

local opts, timestamp, delay, priority, isNext, more
local timestampText, delayText, priorityText
local at = 2
for index = 1, total do
    local id, name, data = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    number = number + 1
    if ARGV[at + 3] ~= '' then
        opts, timestampText, delayText = ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
        timestamp, delay = tonumber(timestampText), tonumber(delayText)
        priority, isNext = tonumber(ARGV[at + 6]) or 0, ARGV[at + 6] == 'lifo'
        priorityText = isNext and '0' or ARGV[at + 6]
        more = ARGV[at + 7] ~= '' and cjson.decode(ARGV[at + 7]) or nil
        at = at + 8
    else
        at = at + 4
    end
    if id == '' and not more then
        id = digits(number)
        redis.call(
            'HSET', prefix .. id, 'name', name, 'data', data, 'opts', opts, 'timestamp', timestampText, 'delay',
            delayText, 'priority', priorityText)
        if index == 1 then
            emitCapped('added', 'jobId', id, 'name', name)
        else
            redis.call('XADD', events, '*', 'event', 'added', 'jobId', id, 'name', name)
        end
        if delay > 0 then
            emit('delayed', 'jobId', id, 'delay', digits(pushDelayed(id, timestamp, delay)))
            hasDelayed = true
        else
            if priority > 0 then
                pushPrioritized(id, priority)
                hasReady = true
            elseif isNext then
                first[#first + 1] = id
            else
                last[#last + 1] = id
            end
            redis.call('XADD', events, '*', 'event', 'waiting', 'jobId', id)
        end
        results[index] = number
    else
        flush()
        addOne = addOne or learnToAddOne()
        results[index] = { addOne(number, id, name, data, opts, timestamp, delay, priority, isNext, more) }
    end
end
flush()
return results
