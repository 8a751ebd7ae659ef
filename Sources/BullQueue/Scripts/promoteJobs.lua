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
        pushPromoted(id)
        markBase()
        codes[index] = 1
    end
end
return codes
