-- Removes jobs: the hash and its sub-keys, and what other keys hold of them.
-- Needs: queue.

local function removeJob(id)
    local key = prefix .. id
    redis.call(
        'DEL', key, key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed',
        key .. ':unsuccessful')
end

local function removeAll(set, ids)
    for first = 1, #ids, 1000 do
        redis.call('ZREM', set, unpack(ids, first, math.min(first + 999, #ids)))
    end
    for _, id in ipairs(ids) do
        removeJob(id)
    end
end
