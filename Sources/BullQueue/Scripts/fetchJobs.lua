-- Takes ready jobs and locks them for a worker.
-- Joined with: queue, place, fetch.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  now, ms since 1970
-- ARGV[2]  how many jobs at most. With `/<n>` behind it a job that lost its worker before is worked alone: it is taken
--          by itself, and only when n, the jobs that this worker holds, is 0. With `:<m>` at the end at most m jobs
--          of one owner run at a time
-- ARGV[3]  lock token for all of them
-- ARGV[4]  lock duration, ms
-- ARGV[5]  the worker's name, or ''
-- ARGV[6]  the worker's own rate limit: starts in a window, or ''
-- ARGV[7]  the window, ms, or ''
-- ARGV[8]  '' or a token: first hands out again what an earlier call took under that token and whose reply was lost
--
-- Returns { jobs, limited, due, refused }:
--   jobs     each { id, starts so far, hash as fields and values }; the hash is as it was before this start
--   limited  ms for which a rate limit forbids more, 0 for none; -1 when no more may be taken before every job of this
--            worker has ended, since the one taken, or the next one, is to be worked alone
--   due      ms since 1970 at which the next delayed job is due, 0 for none or when there may be more to take
--   refused  ids that were dropped because there is no job behind them, or because they are not UTF-8

@include queue
@include place
@include fetch

-- A job that was started before.
local function readAgain(id)
    local hash, size, starts = try('HGETALL', prefix .. id), 0, 1
    if not hash then
        return nil
    end
    for index = 1, #hash, 2 do
        size = size + #hash[index] + #hash[index + 1]
        if hash[index] == 'ats' then
            starts = whole(hash[index + 1]) or 1
        end
    end
    return { id, starts, size > maxJobBytes and shortened(hash, size) or hash }
end

local again, count, held, ownerMax = {}, readCount(ARGV[2])
if ARGV[8] ~= '' then
    for _, id in ipairs(redis.call('LRANGE', active, 0, -1)) do
        if try('GET', prefix .. id .. ':lock') == ARGV[8] then
            local job = readAgain(id)
            if job then
                redis.call('SET', prefix .. id .. ':lock', ARGV[3], 'PX', tonumber(ARGV[4]))
                again[#again + 1] = job
            end
        end
    end
end
if held and #again > 0 then
    -- One of them may have to be alone.
    count = 0
end
local jobs, limited, due, refused = fetchJobs(
    ARGV[1], math.max(0, count - #again), held, ownerMax, ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]),
    tonumber(ARGV[7]))
if held and #again > 0 then
    limited = -1
end
for _, job in ipairs(again) do
    jobs[#jobs + 1] = job
end
return { jobs, limited, due, refused }
