-- Tells how jobs stand, without a change.
--
-- KEYS[1]   the queue's prefix
-- ARGV[1..] ids
--
-- Returns for each id { state, data }, or {} when nothing is known of the job. States: 'active' a worker holds it, 'ended'
-- it is completed or failed, 'waiting' it waits for a worker, its time or other jobs, 'stray' its hash is there and in no
-- list, so no worker gets it. The data is '' when the hash is gone. One that has ended is
-- { 'ended', data, 'completed', return value, time in ms } or { 'ended', data, 'failed', reason, time in ms }.
-- Where more than 5000 jobs wait, one that is nowhere else is taken to be among them: looking through them all blocks Redis.

local prefix = KEYS[1]
local maxWaiting = 5000

local function members(...)
    local found = {}
    for _, list in ipairs({ ... }) do
        for _, id in ipairs(redis.call('LRANGE', prefix .. list, 0, -1)) do
            found[id] = true
        end
    end
    return found
end

local active = members('active')
local waiting, areTooMany

local function waits(id)
    for _, set in ipairs({ 'delayed', 'prioritized', 'waiting-children' }) do
        if redis.call('ZSCORE', prefix .. set, id) then
            return true
        end
    end
    if not waiting then
        areTooMany = redis.call('LLEN', prefix .. 'wait') + redis.call('LLEN', prefix .. 'paused') > maxWaiting
        waiting = areTooMany and {} or members('wait', 'paused')
    end
    return areTooMany or waiting[id]
end

local function find(id)
    local key = prefix .. id
    local data = redis.call('HGET', key, 'data')
    if redis.call('EXISTS', key .. ':lock') == 1 or active[id] then
        return { 'active', data or '' }
    elseif redis.call('EXISTS', key) == 0 then
        return {}
    end
    for set, field in pairs({ completed = 'returnvalue', failed = 'failedReason' }) do
        local time = redis.call('ZSCORE', prefix .. set, id)
        if time then
            return { 'ended', data or '', set, redis.call('HGET', key, field) or '', time }
        end
    end
    return { waits(id) and 'waiting' or 'stray', data or '' }
end

local found = {}
for index = 1, #ARGV do
    found[index] = find(ARGV[index])
end
return found
