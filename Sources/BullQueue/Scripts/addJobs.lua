-- Adds jobs, in order and in one step: standard, prioritized or delayed.
-- Joined with: queue, place, add, remove, deduplication, parent, addOne.
--
-- KEYS[1]  the queue's prefix
-- ARGV     for each job the 8 of `addOne`
--
-- Returns for each job its id and its code, as in `addOne`.

@include queue
@include place
@include add
@include remove
@include deduplication
@include parent
@include addOne

local results = {}
for first = 1, #ARGV, 8 do
    local id, code = addOne(first)
    results[#results + 1] = id
    results[#results + 1] = code
end
return results
