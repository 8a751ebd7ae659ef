-- Stores a running job's progress and tells the queue's listeners.
-- Joined with: queue.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  id
-- ARGV[2]  progress, JSON
--
-- Returns 0, or -1 when the job's hash is missing.

@include queue

local key = prefix .. ARGV[1]
if redis.call('EXISTS', key) == 0 then
    return -1
end
redis.call('HSET', key, 'progress', ARGV[2])
emitCapped('progress', 'jobId', ARGV[1], 'data', ARGV[2])
return 0
