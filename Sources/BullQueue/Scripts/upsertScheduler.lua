-- Makes a scheduler or changes it, and plans its next iteration in place of one that was not taken yet.
-- Joined with: queue, place, add, remove, iteration.
--
-- KEYS[1]   the queue's prefix
-- ARGV[1]   the scheduler's id
-- ARGV[2]   now, ms since 1970
-- ARGV[3]   the next slot of a pattern, ms since 1970; '' for a scheduler with `every`
-- ARGV[4]   'missing' to do nothing while the same scheduler is there and its next iteration too, else ''
-- ARGV[5]   name of the jobs
-- ARGV[6]   the beginning of the job's opts, as `plan` wants it
-- ARGV[7]   priority, 0 for none; or 'lifo' for jobs without one that are to be taken next
-- ARGV[8..] fields and values of the record: tz, pattern, every, offset, startDate, endDate, limit, data, opts, those set
--
-- Returns { id, slot } of the iteration that was planned; or 0 nothing was to be done, 1 the next slot lies behind
-- `endDate` and nothing was done; -10 the pattern's slot is taken by a job that is worked or has ended, -11 so are 32
-- slots of an `every`.

@include queue
@include place
@include add
@include remove
@include iteration

local scheduler, now, name = ARGV[1], tonumber(ARGV[2]), ARGV[5]
local key = prefix .. 'repeat:' .. scheduler
local wanted = { name = name }
for index = 8, #ARGV, 2 do
    wanted[ARGV[index]] = ARGV[index + 1]
end

local stored = {}
local flat = try('HGETALL', key) or {}
for index = 1, #flat, 2 do
    stored[flat[index]] = flat[index + 1]
end
local current = plannedSlot(scheduler)
local currentId = current and iterationId(scheduler, current)
local isWaiting = currentId and waitsIn(currentId)

local function isAsWanted()
    for _, field in ipairs({ 'name', 'tz', 'pattern', 'every', 'startDate', 'endDate', 'limit', 'data', 'opts' }) do
        if stored[field] ~= wanted[field] then
            return false
        end
    end
    return not wanted.offset or stored.offset == wanted.offset
end

if ARGV[4] == 'missing' and currentId and redis.call('EXISTS', prefix .. currentId) == 1
    and (isWaiting or redis.call('LPOS', active, currentId)) and isAsWanted() then
    return 0
end

local slot, every = tonumber(ARGV[3]), tonumber(wanted.every)
local offset = stored.offset
if every then
    local given = tonumber(wanted.offset)
    if current and tonumber(stored.every) == every then
        slot = current
        if not isWaiting then
            slot = current + every
            if slot < now then
                slot = alignedSlot(now, every, given or 0)
                offset = nil
            end
        end
    else
        slot = tonumber(wanted.startDate) or 0
        if slot <= now then
            slot = given and given > 0 and alignedSlot(now, every, given) or now
        end
    end
    slot = freeSlot(scheduler, slot, every)
    if not slot then
        return -11
    end
    offset = wanted.offset or offset or digits(slot % every)
elseif isTaken(iterationId(scheduler, slot)) then
    return -10
end
if wanted.endDate and slot > tonumber(wanted.endDate) then
    return 1
end

if currentId and not isTaken(currentId) then
    withdraw(currentId)
end
withdraw(iterationId(scheduler, slot))
redis.call('DEL', key)
redis.call('HSET', key, 'name', name, 'ic', stored.ic or 1, unpack(ARGV, 8))
redis.call('HSET', key, 'offset', offset or 0)
return { plan(scheduler, slot, now, name, wanted.data or '{}', ARGV[6], ARGV[7]), digits(slot) }
