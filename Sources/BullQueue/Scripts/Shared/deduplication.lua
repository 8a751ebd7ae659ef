-- Deduplication: of all jobs with the same deduplication id one holds it.
-- Needs: queue, place, add, remove.

-- Turns a new job away, or makes it the holder. `de` is the job's option: id, ttl, extend, replace, keepLastIfActive.
-- `park` stores the new job behind the holder, in a hash.
--
-- Returns the id of the job that holds the deduplication instead, or nil: the new job may be added.
local function claimDeduplication(id, de, park)
    local holderKey, parkedKey = prefix .. 'de:' .. de.id, prefix .. 'dn:' .. de.id
    local ttl = not de.keepLastIfActive and whole(de.ttl) or 0
    local function take(...)
        if ttl > 0 then
            return redis.call('SET', holderKey, id, 'PX', ttl, ...)
        end
        return redis.call('SET', holderKey, id, ...)
    end
    if take('NX') then
        return nil
    end
    local holder = redis.call('GET', holderKey)
    local function tell(kept, dropped)
        emitCapped('deduplicated', 'jobId', kept, 'deduplicationId', de.id, 'deduplicatedJobId', dropped)
    end
    if de.replace and redis.call('ZREM', delayed, holder) == 1 then
        removeJob(holder)
        emitCapped('removed', 'jobId', holder, 'prev', 'delayed')
        tell(id, holder)
        redis.call('DEL', parkedKey)
        if de.extend and ttl > 0 or redis.call('PTTL', holderKey) < 0 then
            take()
        else
            redis.call('SET', holderKey, id, 'KEEPTTL')
        end
        return nil
    end
    -- A holder that is gone without a word: its hash was removed by hand.
    if redis.call('PTTL', holderKey) == -1 and redis.call('EXISTS', prefix .. holder) == 0 then
        redis.call('DEL', parkedKey)
        take()
        return nil
    end
    if de.keepLastIfActive and redis.call('LPOS', active, holder) then
        redis.call('DEL', parkedKey)
        park(parkedKey)
        redis.call('PERSIST', holderKey)
        tell(holder, id)
    elseif not de.replace then
        if de.extend and ttl > 0 then
            redis.call('SET', holderKey, holder, 'PX', ttl)
        end
        tell(holder, id)
    end
    return holder
end

local function addParked(parkedKey, deduplicationId, now)
    local parked = redis.call('HMGET', parkedKey, 'name', 'data', 'opts', 'jid', 'pk', 'pd', 'pdk', 'rjk')
    redis.call('DEL', parkedKey)
    local name, id = parked[1], parked[4]
    if not name or not id then
        return
    end
    local isOptions, options = pcall(cjson.decode, parked[3] or '{}')
    if not isOptions or type(options) ~= 'table' then
        options = {}
    end
    local delay, priority = whole(options.delay) or 0, whole(options.priority) or 0
    redis.call('INCR', prefix .. 'id')
    redis.call('SET', prefix .. 'de:' .. deduplicationId, id)
    local fields = { 'deid', deduplicationId }
    if parked[5] then
        fields[#fields + 1], fields[#fields + 2] = 'parentKey', parked[5]
        fields[#fields + 1], fields[#fields + 2] = 'parent', parked[6] or '{}'
    end
    if parked[8] then
        fields[#fields + 1], fields[#fields + 2] = 'rjk', parked[8]
    end
    store(id, name, parked[2] or '{}', parked[3] or '{}', now, delay, priority, fields)
    enqueue(id, now, delay, priority, options.lifo == true)
    if parked[7] then
        redis.call('SADD', parked[7], prefix .. id)
    end
end

-- Releases the deduplication that a finished job held, and adds the job that was parked behind it.
local function releaseDeduplication(id, deduplicationId, now)
    local holderKey = prefix .. 'de:' .. deduplicationId
    if redis.call('GET', holderKey) == id and redis.call('PTTL', holderKey) == -1 then
        redis.call('DEL', holderKey)
    end
    local parkedKey = prefix .. 'dn:' .. deduplicationId
    if redis.call('EXISTS', parkedKey) == 1 then
        addParked(parkedKey, deduplicationId, now)
    end
end
