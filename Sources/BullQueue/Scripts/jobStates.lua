-- Tells the states of jobs. It changes nothing.
--
-- KEYS[1]   the queue's prefix
-- ARGV[1..] ids
--
-- Returns for each id: completed, failed, delayed, prioritized, active, waiting, waiting-children, or unknown.

local function state(id)
    for _, set in ipairs({ 'completed', 'failed', 'delayed', 'prioritized' }) do
        if redis.call('ZSCORE', KEYS[1] .. set, id) then
            return set
        end
    end
    for _, list in ipairs({ 'active', 'wait', 'paused' }) do
        if redis.call('LPOS', KEYS[1] .. list, id) then
            return list == 'active' and list or 'waiting'
        end
    end
    return redis.call('ZSCORE', KEYS[1] .. 'waiting-children', id) and 'waiting-children' or 'unknown'
end

local states = {}
for index = 1, #ARGV do
    states[index] = state(ARGV[index])
end
return states
