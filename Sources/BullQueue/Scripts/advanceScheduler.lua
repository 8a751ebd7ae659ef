-- Plans the iteration that follows one which a worker has just started, unless that was done before.
-- Joined with: queue, held, place, add, remove, iteration.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  the scheduler's id
-- ARGV[2]  id of the job that was started
-- ARGV[3]  now, ms since 1970
-- ARGV[4]  the next slot of a pattern, ms since 1970; '' to add the record's `every` to the slot of the job
-- ARGV[5]  `every` where the record has none, ms; '' for none
-- ARGV[6]  the last slot there may be, ms since 1970; '' for any
-- ARGV[7]  name of the job where the record has none
-- ARGV[8]  the beginning of the job's opts, as `plan` wants it
-- ARGV[9]  priority, 0 for none; or 'lifo' for jobs without one that are to be taken next
-- ARGV[10] ms by which a slot of an `every` may have passed without being left out
--
-- Returns the id of the iteration that was planned; or 0 the job is not the scheduler's current one, so that another
-- follows already or the scheduler is gone; 1 nothing follows, the end is reached; -3 there is no `every`; -10 the
-- pattern's slot is taken by a job that is worked or has ended, -11 so are 32 slots of an `every`.

@include queue
@include held
@include place
@include add
@include remove
@include iteration

local scheduler, now, slot = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local current = plannedSlot(scheduler)
if not current or iterationId(scheduler, current) ~= ARGV[2] then
    return 0
end
local key = prefix .. 'repeat:' .. scheduler
local record = try('HMGET', key, 'name', 'data', 'every', 'offset') or {}
if not slot then
    local every = whole(record[3] or '') or tonumber(ARGV[5])
    if not every or every < 1 then
        return -3
    end
    slot = current + every
    if slot < now - tonumber(ARGV[10]) then
        slot = alignedSlot(now, every, whole(record[4] or '') or 0)
    end
    slot = freeSlot(scheduler, slot, every)
    if not slot then
        return -11
    end
elseif isTaken(iterationId(scheduler, slot)) then
    return -10
end
if ARGV[6] ~= '' and slot > tonumber(ARGV[6]) then
    return 1
end
local id = iterationId(scheduler, slot)
if redis.call('EXISTS', prefix .. id) == 1 then
    -- It waits already, for whatever reason; the chain goes on with it.
    emitCapped('duplicated', 'jobId', id)
    withdraw(id)
end
if record[1] then
    countUp(key, 'ic')
end
return plan(scheduler, slot, now, record[1] or ARGV[7], record[2] or '{}', ARGV[8], ARGV[9])
