internal import FunctionKit

/// The scripts that change records. Each is one step on the server.
enum JobScripts {
    static let create = StoreScript(
        name: "job-create",
        source: """
            -- Writes the record of a job's new round.
            -- KEYS[1]  the record
            -- ARGV[1]  round
            -- ARGV[2]  the first seq of the round
            -- ARGV[3]  the record's time to live, ms
            -- ARGV[4]  channel of the job's watchers
            -- ARGV[5]  message; the character 1 stands for seq
            -- ARGV[6…] field, value, field, value, …
            -- Returns  1 written, 0 a record of this round or a later one is there
            local round = redis.call('HGET', KEYS[1], 'round')
            if round and tonumber(round) >= tonumber(ARGV[1]) then return 0 end
            redis.call('DEL', KEYS[1])
            redis.call('HSET', KEYS[1], 'seq', ARGV[2], 'claim', '0', unpack(ARGV, 6))
            redis.call('PEXPIRE', KEYS[1], ARGV[3])
            redis.call('PUBLISH', ARGV[4], (string.gsub(ARGV[5], '\\1', ARGV[2])))
            return 1
            """)

    static let standings = StoreScript(
        name: "job-standings",
        source: """
            -- Tells how records stand.
            -- KEYS     the records
            -- Returns  for each record its round and its status, one after the other, nil for what is not there
            local found = {}
            for index, key in ipairs(KEYS) do
              local record = redis.call('HMGET', key, 'round', 'status')
              found[2 * index - 1], found[2 * index] = record[1], record[2]
            end
            return found
            """)

    static let forget = StoreScript(
        name: "job-forget",
        source: """
            -- Removes the record of a job that is forgotten, unless a later round has begun.
            -- KEYS[1]  the record
            -- ARGV[1]  round
            -- Returns  1 removed, 0 there is none or it is of a later round
            local round = redis.call('HGET', KEYS[1], 'round')
            if not round or tonumber(round) > tonumber(ARGV[1]) then return 0 end
            return redis.call('DEL', KEYS[1])
            """)

    static let advance = StoreScript(
        name: "job-advance",
        source: """
            -- Changes a record if it is in the round and in one of the states that the caller knows.
            -- KEYS[1]  the record
            -- ARGV[1]  round
            -- ARGV[2]  claim: '' is not looked at, '+' takes a new one, a number must be the one that stands
            -- ARGV[3]  allowed states, each between commas: ',processing,queued,'
            -- ARGV[4]  the record's new time to live, ms; 0 leaves it as it is
            -- ARGV[5]  channel of the job's watchers
            -- ARGV[6]  results of files, 16 characters each: place (4 digits), letter, size (11 digits)
            -- ARGV[7]  lines to append to the errors
            -- ARGV[8]  number of messages, n
            -- ARGV[9…] n messages, published in this order, each with a seq of its own in place of the character 1; an
            --          empty one takes its seq and is not published; then field, value, field, value, …
            -- Returns  {code, seq, claim, state} after the call:
            --          1 done; 0 no record; -1 another round; -2 not in an allowed state; -3 another claim
            local key = KEYS[1]
            local now = redis.call('HMGET', key, 'round', 'status', 'claim', 'seq')
            if not now[1] then return {0, '0', 0, ''} end
            local state, claim, seq = now[2], tonumber(now[3]), tonumber(now[4])
            local function refuse(code) return {code, now[4], claim, state} end
            if now[1] ~= ARGV[1] then return refuse(-1) end
            if not string.find(ARGV[3], ',' .. state .. ',', 1, true) then return refuse(-2) end
            if ARGV[2] == '+' then
              claim = claim + 1
            elseif ARGV[2] ~= '' and ARGV[2] ~= now[3] then
              return refuse(-3)
            end

            local messages = tonumber(ARGV[8])
            local fields = 9 + messages
            redis.call('HSET', key, 'claim', claim, unpack(ARGV, fields))

            if ARGV[6] ~= '' then
              local old = redis.call('HMGET', key, 'files', 'sizes')
              local files, sizes = old[1], old[2]
              for at = 1, #ARGV[6], 16 do
                local place = tonumber(string.sub(ARGV[6], at, at + 3))
                if place < #files then
                  files = string.sub(files, 1, place) .. string.sub(ARGV[6], at + 4, at + 4)
                    .. string.sub(files, place + 2)
                  sizes = string.sub(sizes, 1, place * 11) .. string.sub(ARGV[6], at + 5, at + 15)
                    .. string.sub(sizes, place * 11 + 12)
                end
              end
              redis.call('HSET', key, 'files', files, 'sizes', sizes)
            end
            if ARGV[7] ~= '' then
              redis.call('HSET', key, 'errors', (redis.call('HGET', key, 'errors') or '') .. ARGV[7])
            end

            -- A change without a message is a change all the same.
            local last = seq + math.max(messages, 1)
            local text = string.format('%.0f', last)
            redis.call('HSET', key, 'seq', text)
            if ARGV[4] ~= '0' then redis.call('PEXPIRE', key, ARGV[4]) end
            for number = 1, messages do
              if ARGV[8 + number] ~= '' then
                local own = string.format('%.0f', seq + number)
                redis.call('PUBLISH', ARGV[5], (string.gsub(ARGV[8 + number], '\\1', own)))
              end
            end
            return {1, text, claim, redis.call('HGET', key, 'status')}
            """)
}
