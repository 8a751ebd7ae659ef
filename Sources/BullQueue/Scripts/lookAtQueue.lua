-- Tells what a worker or a reader of events would find to do, for somebody who is neither. Changes nothing.
-- Joined with: stream.
--
-- KEYS[1]  the queue's prefix
-- ARGV     for each consumer group of the queue's events 4:
--   1  its name
--   2  the wanted events, with a blank before and behind each
--   3  an id up to which the stream was looked through before, `0-0` for none
--   4  ms after which an event that was not acknowledged is given to another reader
--
-- Returns { last, jobs, groups }:
--   last    the stream's last id, `0-0` for none
--   jobs    { waiting, active, marked, paused, maxed, limited, due, alone }: how many are ready, are being worked, and
--           were marked by the last stalled check; 1 when the queue is paused, and when as many are worked as its
--           settings allow; ms for which its rate limit forbids a start; ms since 1970 at which the next delayed job is
--           due, 0 for none; 1 when the next one lost its worker before
--   groups  each { unread, seen, again }: 1 when there is a wanted event that the group has not been given, or when
--           such may have been trimmed or soon would be, 2 when that cannot be told before the next look; up to where the stream was looked through; ms until an event
--           that was not acknowledged is given out again, -1 for none

@include stream

local prefix = KEYS[1]
local events = prefix .. 'events'

local function number(reply)
    return type(reply) == 'number' and reply or 0
end

local function whole(text)
    return text and tonumber(text) and math.floor(tonumber(text))
end

local settings = redis.pcall('HMGET', prefix .. 'meta', 'paused', 'concurrency', 'max', 'opts.maxLenEvents')
settings = settings.err and { false, false, false, false } or settings

local function lookAtJobs()
    local active = number(redis.pcall('LLEN', prefix .. 'active'))
    local concurrency, max, limited, due = whole(settings[2]), whole(settings[3]), 0, 0
    if max then
        local started = redis.pcall('GET', prefix .. 'limiter')
        if type(started) == 'string' and (whole(started) or 0) >= max then
            limited = math.max(0, redis.call('PTTL', prefix .. 'limiter'))
        end
    end
    local first = redis.pcall('ZRANGE', prefix .. 'delayed', 0, 0, 'WITHSCORES')
    if first[2] then
        due = math.floor(tonumber(first[2]) / 4096)
    end
    local waiting, alone = number(redis.pcall('LLEN', prefix .. 'wait')), 0
    if waiting > 0 then
        local stalls = redis.pcall('HGET', prefix .. redis.call('LINDEX', prefix .. 'wait', -1), 'stc')
        alone = type(stalls) == 'string' and (whole(stalls) or 0) > 0 and 1 or 0
    end
    waiting = waiting + number(redis.pcall('ZCARD', prefix .. 'prioritized'))
    if active == 0 then
        -- Each of these owners has a place for one.
        waiting = waiting + number(redis.pcall('ZCARD', prefix .. 'parked'))
    end
    return {
        waiting, active, number(redis.pcall('SCARD', prefix .. 'stalled')), settings[1] and 1 or 0,
        concurrency and active >= concurrency and 1 or 0, limited, due, alone,
    }
end

-- Looks through at most 1000 entries; the next look goes on behind them. Returns 1 when a wanted one was found, 2 when
-- more are left, and behind which entry.
local function lookThrough(position, wanted)
    for _ = 1, 10 do
        local page = redis.call('XRANGE', events, '(' .. position, '+', 'COUNT', 100)
        for _, entry in ipairs(page) do
            if string.find(wanted, ' ' .. (pairsOf(entry[2])['event'] or '?') .. ' ', 1, true) then
                return 1, position
            end
            position = entry[1]
        end
        if #page < 100 then
            return 0, position
        end
    end
    return 2, position
end

-- Those with the lowest ids tell enough: the others were given out later.
local function nextDelivery(name, redeliverMs)
    local again = -1
    for _, item in ipairs(redis.call('XPENDING', events, name, '-', '+', 100)) do
        local left = math.max(0, redeliverMs - item[3])
        again = (again < 0 or left < again) and left or again
    end
    return again
end

local function lookAtGroup(info, name, wanted, seen, redeliverMs)
    local group = groupOf(events, name)
    local last, again = group and group['last-delivered-id'] or '0-0', -1
    if group and group['pending'] > 0 then
        again = nextDelivery(name, redeliverMs)
    end
    local position = isBefore(last, seen) and seen or last
    -- A group that nobody reads for is moved on before what it has not read is trimmed, wanted or not: behind a gap it
    -- would be given again what it had last.
    local isFarBehind = group and group['lag'] and group['lag'] > (whole(settings[4]) or 10000) / 2
    if isFarBehind or missedBefore(info, position, group and group['entries-read']) then
        return { 1, position, again }
    end
    local unread
    unread, position = lookThrough(position, wanted)
    return { unread, position, again }
end

local info, groups = redis.pcall('XINFO', 'STREAM', events), {}
info = info.err and { 'last-generated-id', '0-0' } or info
info = pairsOf(info)
for first = 1, #ARGV, 4 do
    if info['length'] then
        groups[#groups + 1] = lookAtGroup(info, ARGV[first], ARGV[first + 1], ARGV[first + 2], tonumber(ARGV[first + 3]))
    else
        groups[#groups + 1] = { 0, '0-0', -1 }
    end
end
return { info['last-generated-id'], lookAtJobs(), groups }
