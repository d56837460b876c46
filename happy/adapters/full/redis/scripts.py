"""Lua scripts: steps that Redis does atomically. Field names are shared with other versions: keep them."""

from typing import Final

PUBLISH: Final = """
local state, history, quiet, sizes = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local channel, account, envelope = ARGV[1], ARGV[2], ARGV[3]
local most, limit, total = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local number, before_this = ARGV[10], redis.call('SET', KEYS[5], ARGV[10], 'PX', ARGV[8], 'GET')
if before_this and tonumber(before_this) >= tonumber(number) then
  redis.call('SET', KEYS[5], before_this, 'PX', ARGV[8])
  return 0
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local offset, before = redis.call('HINCRBY', state, 'place', 1), 0
if offset == 1 then
  offset = time[1] * 1000000 + time[2]
  redis.call('HSET', state, 'place', string.format('%.0f', offset))
  redis.call('DEL', history)
else
  before = offset - 1
end
local name = string.format('%.0f', offset)
before = string.format('%.0f', before)

local kept = envelope
if #kept > limit then kept = '' end
local size = #kept + 150
local bytes = redis.call('HINCRBY', state, 'bytes', size)
local first = tonumber(redis.call('HGET', state, 'first') or 0)
if redis.call('EXISTS', history) == 0 then first = bytes - size end
local start = string.format('%.0f', bytes - size)
redis.call('XADD', history, 'MAXLEN', '~', most, name .. '-0', 'b', before, 'm', kept, 's', start)
local count = redis.call('XLEN', history)
while bytes - first > limit and count > 1 do
  count = math.max(1, math.floor(count * 0.9 * limit / (bytes - first)))
  redis.call('XTRIM', history, 'MAXLEN', count)
  first = tonumber(redis.call('XRANGE', history, '-', '+', 'COUNT', 1)[1][2][6])
end
redis.call('HSET', state, 'first', string.format('%.0f', first))
redis.call('PEXPIRE', state, ARGV[8])
redis.call('PEXPIRE', history, ARGV[7])

local held = bytes - first
local sum = redis.call('HINCRBY', sizes, '', held - (redis.call('HGET', sizes, account) or 0))
redis.call('HSET', sizes, account, held)
redis.call('ZADD', quiet, now, account)
local longest = redis.call('ZRANGE', quiet, 0, 0, 'WITHSCORES')
while longest[1] ~= account and (sum > total or tonumber(longest[2]) < now - ARGV[7]) do
  redis.call('DEL', ARGV[9] .. longest[1])
  sum = redis.call('HINCRBY', sizes, '', -redis.call('HGET', sizes, longest[1]))
  redis.call('HDEL', sizes, longest[1])
  redis.call('ZREM', quiet, longest[1])
  longest = redis.call('ZRANGE', quiet, 0, 0, 'WITHSCORES')
end
return redis.call('PUBLISH', channel, name .. ' ' .. before .. ' ' .. envelope)
"""
"""Give an envelope its offset, keep it for a while unless it is too large, and publish it.

Arguments: channel, account, envelope; bounds of the history in envelopes, in bytes, and in bytes of all
accounts; how long it and the last offset live in ms; the prefix of history keys; the publisher's number of
the envelope. A number that was published before is not published again. When the total is reached, the
history of the account that has been quiet for longest is deleted. The first offset, and the one after the
last offset has expired, is the time in microseconds: higher than all before.
"""

RECOVER: Final = """
local top = redis.call('HGET', KEYS[1], 'place')
if not top then return {'0', '0', '0', {}} end
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)
if not first[1] or top == ARGV[1] then return {top, '0', '0', {}} end
local entries = redis.call('XRANGE', KEYS[2], '(' .. ARGV[1] .. '-0', '+')
return {top, first[1][1], first[1][2][2], entries}
"""
"""The last offset, the first still kept and the one before it, and all envelopes after an offset."""

HOLDERS: Final = """
local found, all, alive = {}, redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  local replica = string.sub(all[i], 1, 16)
  if alive[replica] == nil then
    alive[replica] = redis.call('EXISTS', ARGV[1] .. replica)
    local subscribers = redis.call('PUBSUB', 'NUMSUB', ARGV[2] .. replica)[2]
    if alive[replica] == 1 and subscribers == 0 then alive[replica] = 2 end
  end
  if alive[replica] == 1 then
    found[#found + 1] = all[i]
    found[#found + 1] = all[i + 1]
  elseif alive[replica] == 0 then
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return found
"""
"""The claims on one name whose replicas are alive and subscribed; claims without a lease are deleted.

A replica that was killed is unsubscribed at once, long before its lease expires.
"""

ALIVE: Final = """
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[5])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3] - ARGV[5])
local silent = {}
for _, replica in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if replica ~= ARGV[1] and redis.call('PUBSUB', 'NUMSUB', ARGV[2] .. replica)[2] == 0 then
    silent[#silent + 1] = replica
  end
end
return silent
"""
"""Record that a replica is alive, delete its old publish intents, and return replicas not subscribed.

Arguments: the replica, the prefix of replicas' channels, now and the time before which intents are old, in s,
and for how many s a dead replica is remembered.
"""

TAKE: Final = """
local cost, window, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + time[2] / 1000
end
local owed = math.max(0, tonumber(redis.call('GET', KEYS[1]) or 0) - now)
local granted = owed + math.min(cost, window) <= window
if granted or ARGV[3] == '1' then
  owed = math.min(owed + cost, math.max(cost, 2 * window))
  redis.call('SET', KEYS[1], string.format('%.3f', now + owed), 'PX', math.ceil(owed) + 1)
end
return {granted and 1 or 0, string.format('%.3f', owed)}
"""
"""Take tokens of a bucket: whether they were taken, and in how many ms the bucket is full again.

Arguments: the cost and the window in ms, 1 to take them in any case, and the time in ms or, empty, that of
Redis.
"""
