-- Has the events that a consumer was given, and did not acknowledge, taken over at once instead of after their time.
--
-- How often they were delivered stays as it is.
--
-- KEYS[1]  the stream
-- ARGV[1]  group
-- ARGV[2]  consumer, which is gone
-- ARGV[3]  ms since the last delivery from which events are taken over
--
-- Returns how many there are.

local count, from = 0, '-'
while true do
    -- Of another type, or without the group, there is nothing to release.
    local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], from, '+', 1000, ARGV[2])
    if pending.err or #pending == 0 then
        return count
    end
    local command = { 'XCLAIM', KEYS[1], ARGV[1], ARGV[2], '0' }
    for _, item in ipairs(pending) do
        from = '(' .. item[1]
        -- One that was trimmed would be forgotten by this; who takes it over in its time learns that it is lost.
        if #redis.call('XRANGE', KEYS[1], item[1], item[1]) > 0 then
            command[#command + 1] = item[1]
            count = count + 1
        end
    end
    if #command > 5 then
        local last = #command
        command[last + 1], command[last + 2], command[last + 3] = 'IDLE', ARGV[3], 'JUSTID'
        redis.call(unpack(command))
    end
end
