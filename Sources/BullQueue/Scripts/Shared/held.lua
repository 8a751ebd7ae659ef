-- What is done with a job that a worker holds.
-- Needs: queue.

-- One more in a job's counter; a field that holds no integer, or one that no count reaches, starts again: what never
-- arrived at a limit would go on for ever.
local function countUp(key, field)
    local count = try('HINCRBY', key, field, 1)
    if not count or count < 1 or count >= 9007199254740992 then
        count = 1
        try('HSET', key, field, count)
    end
    return count
end

-- Releases a job's lock: 0, -2 when it is missing, -6 when another worker holds it. Token `0` skips the check.
local function unlock(id, token)
    if token == '0' then
        return 0
    end
    local key = prefix .. id .. ':lock'
    local holder = try('GET', key)
    if holder == token then
        redis.call('DEL', key)
        try('SREM', stalled, id)
        return 0
    end
    return holder == false and -2 or -6
end
