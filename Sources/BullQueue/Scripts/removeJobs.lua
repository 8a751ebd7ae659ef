-- Removes jobs that no worker holds.
-- Joined with: queue, place, job, remove, parent, forget.
--
-- KEYS[1]   the queue's prefix
-- ARGV[1]   now, ms since 1970
-- ARGV[2]   'children' to remove with each job its children, those that have ended too; else ''
-- ARGV[3..] ids
--
-- Returns a code for each id: 1 removed, 0 a worker holds it or a child of it, -1 there is no such job, -8 its scheduler
-- has planned it as the next (remove the scheduler instead).

@include queue
@include place
@include job
@include remove
@include parent
@include forget

local codes = {}
for index = 3, #ARGV do
    local id = ARGV[index]
    local code = 1
    if not isJob(id) then
        code = -1
        if redis.call('EXISTS', prefix .. id) == 0 then
            unlist(id)
        end
    elseif isPlanned(id) then
        code = -8
    elseif isHeld(id) then
        code = 0
    else
        forget(id, tonumber(ARGV[1]), ARGV[2] == 'children')
    end
    codes[#codes + 1] = code
end
return codes
