-- Gives a job other data.
-- Joined with: queue, job.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  id
-- ARGV[2]  data, JSON
-- ARGV[3]  '' or the state that the job must be in: 'completed' or 'failed'
--
-- Returns 0, or -1 when there is no such job, -3 when it is not in that state.

@include queue
@include job

local id = ARGV[1]
if not isJob(id) then
    return -1
elseif ARGV[3] ~= '' and not redis.call('ZSCORE', prefix .. ARGV[3], id) then
    return -3
end
redis.call('HSET', prefix .. id, 'data', ARGV[2])
return 0
