-- Removes a job that no worker holds, if it still carries the data that its producer knows.
-- Joined with: queue, place, remove, parent, forget.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  id
-- ARGV[2]  data, JSON
-- ARGV[3]  now, ms since 1970
--
-- Returns 1 removed or gone already, 0 a worker holds it or a child of it, -1 it carries other data.

@include queue
@include place
@include remove
@include parent
@include forget

local id = ARGV[1]
local data = redis.call('HGET', prefix .. id, 'data')
if isHeld(id) or redis.call('LPOS', active, id) then
    return 0
elseif data and data ~= ARGV[2] then
    return -1
elseif redis.call('EXISTS', prefix .. id) == 1 then
    forget(id, tonumber(ARGV[3]), false)
end
return 1
