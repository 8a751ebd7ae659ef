-- Removes a paused queue with everything in it, in steps.
-- Joined with: queue, place, remove, parent, forget.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  now, ms since 1970
-- ARGV[2]  'force' to remove jobs that workers hold, too; else ''
-- ARGV[3]  how many jobs at most
--
-- Returns 0 when nothing is left, 1 when there is more to do, -1 when the queue is not paused, -2 when jobs are active.

@include queue
@include place
@include remove
@include parent
@include forget

local now, limit = tonumber(ARGV[1]), tonumber(ARGV[3])
if not isPaused then
    return -1
elseif ARGV[2] ~= 'force' and redis.call('LLEN', active) > 0 then
    return -2
end
local dropped = {}
for _, list in ipairs({ 'active', 'wait', 'paused' }) do
    while #dropped < limit do
        local id = redis.call('RPOP', prefix .. list)
        if not id then
            break
        end
        redis.call('DEL', prefix .. id .. ':lock')
        drop(id, now, dropped)
    end
end
for _, set in ipairs({ 'delayed', 'prioritized', 'waiting-children', 'completed', 'failed' }) do
    while #dropped < limit do
        local id = redis.call('ZPOPMIN', prefix .. set)[1]
        if not id then
            break
        end
        drop(id, now, dropped)
    end
end
local steps = #dropped
while steps < limit do
    local scheduler = redis.call('ZPOPMIN', prefix .. 'repeat')[1]
    if not scheduler then
        break
    end
    redis.call('DEL', prefix .. 'repeat:' .. scheduler)
    steps = steps + 1
end
if steps >= limit then
    return 1
end
for _, owner in ipairs(redis.call('ZRANGE', prefix .. 'parked', 0, -1)) do
    redis.call('DEL', prefix .. 'parked:' .. owner)
end
for _, name in ipairs({
    'id', 'wait', 'active', 'prioritized', 'pc', 'delayed', 'completed', 'failed', 'waiting-children', 'marker', 'stalled',
    'stalled-check', 'events', 'meta', 'limiter', 'repeat', 'paused', 'metrics:completed', 'metrics:failed',
    'metrics:completed:data', 'metrics:failed:data', 'fair', 'fair-time', 'parked',
}) do
    redis.call('DEL', prefix .. name)
end
return 0
