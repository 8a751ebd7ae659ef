-- Removes jobs that wait, those that schedulers have planned as the next aside. No event is sent for them.
-- Joined with: queue, place, job, remove, parent, forget.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  now, ms since 1970
-- ARGV[2]  'delayed' to remove the delayed ones too, else ''
-- ARGV[3]  how many at most
--
-- Returns the ids that were removed, parents whose last child went included. As many as asked for or more: call again.

@include queue
@include place
@include job
@include remove
@include parent
@include forget

local now, limit = tonumber(ARGV[1]), tonumber(ARGV[3])
-- What stays is at most one job a scheduler, so a step of this length finds something to remove as long as there is any.
local scanned = limit + redis.call('ZCARD', prefix .. 'repeat')
local dropped = {}

for _, list in ipairs({ wait, prefix .. 'paused' }) do
    local ids = redis.call('LRANGE', list, -scanned, -1)
    for index = #ids, 1, -1 do
        if #dropped >= limit then
            break
        end
        if not isPlanned(ids[index]) then
            redis.call('LREM', list, -1, ids[index])
            drop(ids[index], now, dropped)
        end
    end
end
for _, set in ipairs({ prioritized, ARGV[2] == 'delayed' and delayed or nil }) do
    for _, id in ipairs(redis.call('ZRANGE', set, 0, scanned - 1)) do
        if #dropped >= limit then
            break
        end
        if not isPlanned(id) then
            redis.call('ZREM', set, id)
            drop(id, now, dropped)
        end
    end
end
return dropped
