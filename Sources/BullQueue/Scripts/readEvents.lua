-- Reads a consumer group's next events, unless some that it has not seen are gone.
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

local stream, name = KEYS[1], ARGV[1]

local function pairsOf(flat)
    local map = {}
    for index = 1, #flat, 2 do
        map[flat[index]] = flat[index + 1]
    end
    return map
end

local function isBefore(a, b)
    local aMs, aSequence = string.match(a, '^(%d+)-(%d+)$')
    local bMs, bSequence = string.match(b, '^(%d+)-(%d+)$')
    if aMs ~= bMs then
        return tonumber(aMs) < tonumber(bMs)
    end
    return tonumber(aSequence) < tonumber(bSequence)
end

-- The id just before another, to which a group is set once its gap is closed.
local function before(id)
    local ms, sequence = string.match(id, '^(%d+)-(%d+)$')
    if sequence ~= '0' then
        return ms .. '-' .. string.format('%.0f', tonumber(sequence) - 1)
    end
    return string.format('%.0f', tonumber(ms) - 1) .. '-18446744073709551615'
end

local last, entriesRead
local groups = redis.pcall('XINFO', 'GROUPS', stream)
for _, group in ipairs(groups.err and {} or groups) do
    local info = pairsOf(group)
    if info['name'] == name then
        last, entriesRead = info['last-delivered-id'], info['entries-read']
    end
end
if not last then
    return redis.error_reply('NOGROUP No such consumer group')
end

-- Redis 7 counts the entries that there ever were, so it can be told whether the group has seen those that are gone.
-- Before, a group that is behind the first entry may have missed some, unless it never had anything to read.
local info = pairsOf(redis.call('XINFO', 'STREAM', stream))
local first = info['first-entry'] and info['first-entry'][1]
local hasMissed
if info['entries-added'] then
    local gone = info['entries-added'] - info['length']
    hasMissed = gone > 0 and not (entriesRead and entriesRead >= gone)
else
    hasMissed = last ~= '0-0'
end
if hasMissed and first and isBefore(last, first) and last ~= before(first) then
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
