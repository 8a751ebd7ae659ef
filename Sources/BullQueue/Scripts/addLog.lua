-- Adds a line to a job's log.
-- Joined with: queue, job.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  id
-- ARGV[2]  the line
-- ARGV[3]  how many lines are kept, the last ones; 0 for all
--
-- Returns how many lines the log has, or -1 when there is no such job.

@include queue
@include job

local id, kept = ARGV[1], tonumber(ARGV[3])
if not isJob(id) then
    return -1
end
local log = prefix .. id .. ':logs'
local count = redis.call('RPUSH', log, ARGV[2])
if kept > 0 and count > kept then
    redis.call('LTRIM', log, -kept, -1)
    return kept
end
return count
