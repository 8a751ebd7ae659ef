-- Removes jobs that no worker holds.
-- Joined with: queue, place, remove, parent, forget.
--
-- KEYS[1]   the queue's prefix
-- ARGV[1]   now, ms since 1970
-- ARGV[2]   'children' to remove with each job its children that have not ended, else ''
-- ARGV[3..] ids
--
-- Returns a code for each id: 1 removed, 0 a worker holds it or a child of it, -1 there is no such job, -8 its scheduler
-- has planned it as the next (remove the scheduler instead).

@include queue
@include place
@include remove
@include parent
@include forget

local codes = {}
for index = 3, #ARGV do
    local id = ARGV[index]
    local scheduler = try('HGET', prefix .. id, 'rjk')
    if redis.call('EXISTS', prefix .. id) == 0 then
        codes[#codes + 1] = -1
        unlist(id)
    elseif isPlanned(id, scheduler) then
        codes[#codes + 1] = -8
    elseif isHeld(id) then
        codes[#codes + 1] = 0
    else
        forget(id, tonumber(ARGV[1]), ARGV[2] == 'children')
        codes[#codes + 1] = 1
    end
end
return codes
