-- Takes over events that a consumer read and did not acknowledge in time, and forgets consumers that are long gone.
--
-- KEYS[1]  the stream
-- ARGV[1]  group
-- ARGV[2]  consumer
-- ARGV[3]  ms since the last delivery from which an event is taken over
-- ARGV[4]  how many at most; those that are lost do not count
-- ARGV[5]  deliveries after which an event is given up: it is acknowledged
-- ARGV[6]  ms of silence after which a consumer without pending events is forgotten
--
-- Returns { entries, given up, lost }: entries as { id, fields and values }, then ids; `lost` were trimmed from the
--   stream before they were handled.
-- Fails with NOGROUP when there is no such group.

local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local entries, givenUp, lost = {}, {}, {}
local pending = redis.call('XPENDING', stream, group, 'IDLE', ARGV[3], '-', '+', ARGV[4] + 1000)
for _, item in ipairs(pending) do
    local id, deliveries = item[1], item[4]
    if #entries + #givenUp >= tonumber(ARGV[4]) then
        break
    end
    if deliveries >= tonumber(ARGV[5]) then
        redis.call('XACK', stream, group, id)
        givenUp[#givenUp + 1] = id
    else
        local claimed = redis.call('XCLAIM', stream, group, consumer, 0, id)
        if claimed[1] and claimed[1][2] then
            entries[#entries + 1] = claimed[1]
        else
            redis.call('XACK', stream, group, id)
            lost[#lost + 1] = id
        end
    end
end
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
    local info = {}
    for index = 1, #flat, 2 do
        info[flat[index]] = flat[index + 1]
    end
    if info['pending'] == 0 and info['idle'] > tonumber(ARGV[6]) and info['name'] ~= consumer then
        redis.call('XGROUP', 'DELCONSUMER', stream, group, info['name'])
    end
end
return { entries, givenUp, lost }
