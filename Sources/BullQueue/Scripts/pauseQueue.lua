-- Pauses a queue: no job is taken any more, running ones go on.
-- Joined with: queue.
--
-- KEYS[1]  the queue's prefix
--
-- Returns 1, or 0 when it was paused already (the event is sent all the same).

@include queue

redis.call('HSET', meta, 'paused', 1)
redis.call('DEL', marker)
emit('paused')
return isPaused and 0 or 1
