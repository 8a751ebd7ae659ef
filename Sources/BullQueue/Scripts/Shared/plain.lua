-- Finishes one plain job and takes one more, the step of a worker with one place, without the shared steps: making them
-- would take a third of its time. Joined in front of them in finishJobs; it returns only when all is as most often:
-- one job that succeeded and asks for nothing more; a queue without settings, pause or delayed job that is due; a next
-- job that is small and not to fail. Whatever is done here is done there, too.
if #ARGV == 13
    and (ARGV[2] == '1' or ARGV[2] == '1/0' or string.find(ARGV[2], '^1:') or string.find(ARGV[2], '^1/0:'))
    and ARGV[6] == '' and ARGV[9] ~= '0' and ARGV[10] == 'completed' and ARGV[13] == '' then
    local prefix, nowText, token = KEYS[1], ARGV[1], ARGV[3]
    local key, wait, active = prefix .. ARGV[8], prefix .. 'wait', prefix .. 'active'
    local lock, events = key .. ':lock', prefix .. 'events'
    local settings = redis.call('HMGET', prefix .. 'meta', 'paused', 'concurrency', 'max', 'opts.maxLenEvents')
    local maxEvents, due = settings[4], string.format('%d', (tonumber(nowText) + 1) * 4096 - 1)
    local id = not settings[1] and not settings[2] and not settings[3] and maxEvents
        and string.find(maxEvents, '^[1-9]%d?%d?%d?%d?%d?%d?%d?$') and redis.call('MGET', lock)[1] == ARGV[9]
        -- A key counts as often as it is named: the job is there, and has no children.
        and redis.call('EXISTS', key, key, key, key .. ':dependencies', key .. ':unsuccessful') == 3
        and not redis.call('ZRANGEBYSCORE', prefix .. 'delayed', '-inf', due, 'LIMIT', '0', '1')[1]
        and redis.call('LINDEX', wait, '-1')
    local next = id and prefix .. id
    if id and string.find(id, '^[%w_-]+$') and next ~= key then
        -- Of another type, it has no name.
        local hash = redis.pcall('HGETALL', next)
        local isNamed, isPlain, starts = false, #hash <= 64, 0
        for index = 1, #hash, 2 do
            local field, value = hash[index], hash[index + 1]
            if field == 'name' then
                isNamed = true
            elseif field == 'ats' then
                starts = string.find(value, '^%d?%d?%d?%d?%d?%d$') and tonumber(value)
            end
            isPlain = isPlain and starts and field ~= 'defa' and field ~= 'owner' and #field + #value <= 65536
        end
        if isNamed and isPlain and redis.call('LREM', active, '-1', ARGV[8]) == 1 then
            redis.call('DEL', lock)
            redis.pcall('SREM', prefix .. 'stalled', ARGV[8])
            redis.call('ZADD', prefix .. 'completed', nowText, ARGV[8])
            redis.call('HSET', key, 'atm', ARGV[12], 'returnvalue', ARGV[11], 'finishedOn', nowText)
            redis.call(
                'XADD', events, 'MAXLEN', '~', maxEvents, '*', 'event', 'completed', 'jobId', ARGV[8], 'returnvalue',
                ARGV[11], 'prev', 'active')
            redis.call('RPOPLPUSH', wait, active)
            if token ~= '0' then
                redis.call('PSETEX', next .. ':lock', ARGV[4], token)
            end
            redis.call('XADD', events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
            starts = starts + 1
            if ARGV[5] ~= '' then
                redis.call(
                    'HSET', next, 'processedOn', nowText, 'ats', string.format('%d', starts), 'pb', ARGV[5])
            else
                redis.call('HSET', next, 'processedOn', nowText, 'ats', string.format('%d', starts))
            end
            redis.call('ZADD', prefix .. 'marker', '0', '0')
            return { { 0 }, { { id, starts, hash } }, 0, 0, {} }
        end
    end
end
