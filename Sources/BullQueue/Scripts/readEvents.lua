-- Reads a consumer group's next events, unless some that it has not seen are gone.
-- Joined with: stream.
--
-- KEYS[1]   the stream
-- ARGV[1]   group
-- ARGV[2]   consumer
-- ARGV[3]   how many entries at most
-- ARGV[4..] the wanted events; entries of any other are acknowledged here and not returned
--
-- Returns { last, count, entries }: the group's last delivered id, how many entries were read, and the wanted ones as
--   { id, fields and values }.
-- Returns { last, first } when entries between the group's last delivered id and the stream's first were trimmed;
--   nothing was read then.
-- Fails with NOGROUP when there is no such group (or no stream).

@include stream

local stream, name = KEYS[1], ARGV[1]
local group = groupOf(stream, name)
if not group then
    return redis.error_reply('NOGROUP No such consumer group')
end
local last = group['last-delivered-id']
local first = missedBefore(pairsOf(redis.call('XINFO', 'STREAM', stream)), last, group['entries-read'])
if first then
    return { last, first }
end

local wanted = {}
for index = 4, #ARGV do
    wanted[ARGV[index]] = true
end
local reply = redis.call('XREADGROUP', 'GROUP', name, ARGV[2], 'COUNT', ARGV[3], 'STREAMS', stream, '>')
local count, entries, others = 0, {}, {}
for _, entry in ipairs(reply and reply[1][2] or {}) do
    count = count + 1
    last = entry[1]
    if wanted[pairsOf(entry[2])['event']] then
        entries[#entries + 1] = entry
    else
        others[#others + 1] = entry[1]
    end
end
if #others > 0 then
    redis.call('XACK', stream, name, unpack(others))
end
return { last, count, entries }
