-- Adds a tree of jobs over one or several queues in one step, each parent before its children.
-- Joined with: queue, place, add, remove, deduplication, parent, addOne.
--
-- KEYS     the prefixes of the queues; in a cluster one hash tag must hold them all
-- Then for each job 9 of ARGV: the number of its queue in KEYS, and the 8 of a job in addJobs
--
-- Returns for each job { id, code } as `addOne` gives them. When a code is negative, nothing after it was added.

@include queue
@include place
@include add
@include remove
@include deduplication
@include parent
@include addOne

local results = {}
for first = 1, #ARGV, 9 do
    local result = within(KEYS[tonumber(ARGV[first])], function()
        local id, name, data, opts, timestamp, delay, priority, more = unpack(ARGV, first + 1, first + 8)
        return {
            addOne(
                redis.call('INCR', prefix .. 'id'), id, name, data, opts, tonumber(timestamp), tonumber(delay),
                tonumber(priority) or 0, priority == 'lifo', more ~= '' and cjson.decode(more) or nil),
        }
    end)
    results[#results + 1] = result
    if result[2] < 0 then
        break
    end
end
return results
