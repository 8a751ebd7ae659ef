-- Removes those of some jobs of one state that are older than a time; no worker may hold them.
-- Joined with: queue, place, job, remove, parent, forget.
--
-- KEYS[1]   the queue's prefix
-- ARGV[1]   now, ms since 1970
-- ARGV[2]   the key of the state: completed, failed, wait, paused, active, delayed, prioritized, waiting-children
-- ARGV[3]   ms since 1970: what ended, else was started, else was added before it or then is removed
-- ARGV[4]   how many were removed by earlier calls, for the event `cleaned` which ends a sequence of them; '' for no event
-- ARGV[5]   how many at most
-- ARGV[6..] ids
--
-- Returns the ids that were removed, parents whose last child went included.

@include queue
@include place
@include job
@include remove
@include parent
@include forget

local now, before, limit = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[5])
local state = prefix .. ARGV[2]
local isList = ARGV[2] == 'wait' or ARGV[2] == 'paused' or ARGV[2] == 'active'
local dropped = {}

local function isOld(id)
    local job = try('HMGET', prefix .. id, 'finishedOn', 'processedOn', 'timestamp')
    local at = job and (whole(job[1] or '') or whole(job[2] or '') or whole(job[3] or ''))
    return not at or at <= before
end

for index = 6, #ARGV do
    local id = ARGV[index]
    if #dropped >= limit then
        break
    end
    if isOld(id) and redis.call('EXISTS', prefix .. id .. ':lock') == 0 and not isPlanned(id) then
        local removed = isList and redis.call('LREM', state, -1, id) or not isList and redis.call('ZREM', state, id)
        if removed > 0 then
            drop(id, now, dropped)
        end
    end
end
if ARGV[4] ~= '' then
    emit('cleaned', 'count', tonumber(ARGV[4]) + #dropped)
end
return dropped
