-- Gives back jobs whose worker is gone: those marked at the last check, not renewed since, and without a lock now.
-- Joined with: queue, held, stall.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  how often a job may stall; once more and its next start fails it
-- ARGV[2]  ms during which no further check is made, by whichever worker
--
-- Returns the ids that were given back.

@include queue
@include held
@include stall

if not redis.call('SET', prefix .. 'stalled-check', 1, 'PX', tonumber(ARGV[2]), 'NX') then
    return {}
end
redis.call('XTRIM', events, 'MAXLEN', '~', maxEvents)
local recovered = {}
local marked = try('SMEMBERS', stalled) or {}
redis.call('DEL', stalled)
for _, id in ipairs(marked) do
    if redis.call('EXISTS', prefix .. id .. ':lock') == 0 and giveBack(id, tonumber(ARGV[1]), true) then
        recovered[#recovered + 1] = id
    end
end
local running = redis.call('LRANGE', active, 0, -1)
for first = 1, #running, 1000 do
    redis.call('SADD', stalled, unpack(running, first, math.min(first + 999, #running)))
end
return recovered
