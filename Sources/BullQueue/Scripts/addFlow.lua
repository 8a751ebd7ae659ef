-- Adds a tree of jobs over one or several queues in one step, each parent before its children.
-- Joined with: queue, place, add, remove, deduplication, parent, addOne.
--
-- KEYS     the prefixes of the queues; in a cluster one hash tag must hold them all
-- ARGV     for each job the number of its queue in KEYS and the 8 of `addOne`
--
-- Returns for each job its id and its code, as in `addOne`. When a job's code is negative, nothing after it was added.

@include queue
@include place
@include add
@include remove
@include deduplication
@include parent
@include addOne

local results = {}
for first = 1, #ARGV, 9 do
    local id, code = unpack(within(KEYS[tonumber(ARGV[first])], function()
        return { addOne(first + 1) }
    end))
    results[#results + 1] = id
    results[#results + 1] = code
    if code < 0 then
        break
    end
end
return results
