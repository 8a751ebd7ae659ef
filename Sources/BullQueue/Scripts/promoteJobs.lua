-- Makes delayed jobs ready at once.
-- Joined with: queue, place.
--
-- KEYS[1]   the queue's prefix
-- ARGV[1..] ids
--
-- Returns a code for each id: 1 promoted, -3 it is not delayed.

@include queue
@include place

local codes = {}
for index = 1, #ARGV do
    local id = ARGV[index]
    codes[index] = -3
    if redis.call('ZREM', delayed, id) == 1 then
        local key = prefix .. id
        local job = try('HMGET', key, 'name', 'priority')
        pushReady(id, job and whole(job[2] or '') or 0, false)
        markBase()
        emit('waiting', 'jobId', id, 'prev', 'delayed')
        if job and job[1] then
            redis.call('HSET', key, 'delay', 0)
        end
        codes[index] = 1
    end
end
return codes
