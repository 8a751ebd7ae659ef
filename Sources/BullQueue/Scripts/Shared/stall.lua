-- Takes jobs from workers that are gone.
-- Needs: queue, held.

-- Gives a job back to be taken next, and counts a stall: `limit` times it may stall; once more and its next start fails
-- it, unless it is a scheduler's and `sparesPlanned` is set. False when the job is not in `active`.
local function giveBack(id, limit, sparesPlanned)
    local key = prefix .. id
    if redis.call('LREM', active, 1, id) == 0 then
        return false
    end
    local job = try('HMGET', key, 'name', 'rjk')
    if job and job[1] then
        if countUp(key, 'stc') > limit and not (sparesPlanned and job[2]) then
            redis.call('HSET', key, 'defa', 'job stalled more than allowable limit')
        end
    end
    redis.call('RPUSH', wait, id)
    markBase()
    emit('waiting', 'jobId', id, 'prev', 'active')
    emit('stalled', 'jobId', id)
    return true
end
