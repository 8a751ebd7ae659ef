-- What a queue's stream and a consumer group of it tell of themselves.

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

-- What a group tells, nil when there is no such group, or no stream.
local function groupOf(stream, name)
    local groups = redis.pcall('XINFO', 'GROUPS', stream)
    for _, flat in ipairs(groups.err and {} or groups) do
        local group = pairsOf(flat)
        if group['name'] == name then
            return group
        end
    end
    return nil
end

-- The stream's first entry when some between `last` and it were trimmed; else nil. `info` is what the stream tells, and
-- `entriesRead` how many of its entries the group has seen, where the server counts them.
--
-- Redis 7 counts the entries that there ever were, so it can be told whether the group has seen those that are gone.
-- Before, a group that is behind the first entry may have missed some, unless it never had anything to read.
local function missedBefore(info, last, entriesRead)
    local first = info['first-entry'] and info['first-entry'][1]
    local hasMissed
    if info['entries-added'] then
        local gone = info['entries-added'] - info['length']
        hasMissed = gone > 0 and not (entriesRead and entriesRead >= gone)
    else
        hasMissed = last ~= '0-0'
    end
    return hasMissed and first and isBefore(last, first) and last ~= before(first) and first or nil
end
