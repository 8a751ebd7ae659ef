-- Tells how a job stands, without a change.
--
-- KEYS[1]  the queue's prefix
-- ARGV[1]  id
--
-- Returns { state, data }, or nil when nothing is known of the job. States: 'active' a worker holds it, 'ended' it is
-- completed or failed, 'waiting' anything else. The data is '' when the hash is gone. One that has ended is
-- { 'ended', data, 'completed', return value, time in ms } or { 'ended', data, 'failed', reason, time in ms }.

local prefix, id = KEYS[1], ARGV[1]
local key = prefix .. id
local data = redis.call('HGET', key, 'data')
if redis.call('EXISTS', key .. ':lock') == 1 or redis.call('LPOS', prefix .. 'active', id) then
    return { 'active', data or '' }
elseif redis.call('EXISTS', key) == 0 then
    return nil
end
for set, field in pairs({ completed = 'returnvalue', failed = 'failedReason' }) do
    local time = redis.call('ZSCORE', prefix .. set, id)
    if time then return { 'ended', data or '', set, redis.call('HGET', key, field) or '', time } end
end
return { 'waiting', data or '' }
