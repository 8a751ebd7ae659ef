-- Renews the locks of jobs that a worker runs or is about to settle.
--
-- A lock that lapsed is taken again when the job is still in `active` and was not started since: nobody else has it,
-- and it would else be run twice after every outage of the server that lasts longer than a lock.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  lock duration, ms
-- Then for each job 3 of ARGV: id, lock token, the job's starts when this worker took it
--
-- Returns the ids whose lock is lost.

local prefix, lockMs = KEYS[1], tonumber(ARGV[1])
local lost, ids = {}, nil

local function isActive(id)
    if not ids then
        ids = {}
        for _, other in ipairs(redis.call('LRANGE', prefix .. 'active', 0, -1)) do
            ids[other] = true
        end
    end
    return ids[id]
end

for first = 2, #ARGV, 3 do
    local id, token = ARGV[first], ARGV[first + 1]
    local key = prefix .. id
    -- Whatever others have made of one key, the other locks are renewed.
    local holder = redis.pcall('GET', key .. ':lock')
    local isOurs = holder == token
    if not holder and isActive(id) then
        isOurs = redis.call('HGET', key, 'ats') == ARGV[first + 2]
    end
    if isOurs then
        redis.call('SET', key .. ':lock', token, 'PX', lockMs)
        redis.pcall('SREM', prefix .. 'stalled', id)
    else
        lost[#lost + 1] = id
    end
end
return lost
