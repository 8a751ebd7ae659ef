-- Gives back the jobs of a worker that is known to be gone, without waiting for their locks.
-- Joined with: queue, held, stall.
--
-- What is left of each is what a stalled check leaves. A scheduler's job is not spared the limit: its worker did not
-- vanish, the process ended, and would do so at every start.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  the worker's id, with which the tokens of its locks begin: `<id>:<number>`
-- ARGV[2]  how often a job may stall; once more and its next start fails it
--
-- Returns the ids that were given back, the first to be taken last.

@include queue
@include held
@include stall

local recovered, owner = {}, ARGV[1] .. ':'
local running = redis.call('LRANGE', active, 0, -1)
redis.call('XTRIM', events, 'MAXLEN', '~', maxEvents)
for first = 1, #running, 1000 do
    local locks = {}
    for index = first, math.min(first + 999, #running) do
        locks[#locks + 1] = prefix .. running[index] .. ':lock'
    end
    local tokens = redis.call('MGET', unpack(locks))
    for offset, key in ipairs(locks) do
        local id = running[first + offset - 1]
        if tokens[offset] and string.sub(tokens[offset], 1, #owner) == owner and giveBack(id, tonumber(ARGV[2]), false)
        then
            redis.call('DEL', key)
            try('SREM', stalled, id)
            recovered[#recovered + 1] = id
        end
    end
end
return recovered
