-- Tells jobs from the queue's other keys, for operations whose ids come from people.
-- Needs: queue.

-- Whether a job lies behind the id: a hash that is none of the queue's own. It may lack any field.
local function isJob(id)
    if redis.call('TYPE', prefix .. id).ok ~= 'hash' or id == 'meta' or string.match(id, '^metrics:')
        or string.match(id, '^dn:') then
        return false
    end
    local scheduler = string.match(id, '^repeat:(.+)$')
    if scheduler and try('ZSCORE', prefix .. 'repeat', scheduler) then
        return false
    end
    local parent = string.match(id, '^(.+):processed$') or string.match(id, '^(.+):failed$')
    return not parent or redis.call('EXISTS', prefix .. parent) == 0
end

-- Whether the job is the one that its scheduler has planned as the next.
local function isPlanned(id)
    local scheduler = try('HGET', prefix .. id, 'rjk')
    local at = scheduler and try('ZSCORE', prefix .. 'repeat', scheduler)
    return at and id == 'repeat:' .. scheduler .. ':' .. digits(tonumber(at))
end
