"""What Redis does by itself, in one step that no other command can come between."""

from typing import Final

PUBLISH: Final = """
local state, history, quiet, sizes = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local channel, account, frame = ARGV[1], ARGV[2], ARGV[3]
local most, limit, total = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local number, before_this = ARGV[10], redis.call('SET', KEYS[5], ARGV[10], 'PX', ARGV[8], 'GET')
if before_this and tonumber(before_this) >= tonumber(number) then
  redis.call('SET', KEYS[5], before_this, 'PX', ARGV[8])
  return 0
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local place, before = redis.call('HINCRBY', state, 'place', 1), 0
if place == 1 then
  place = time[1] * 1000000 + time[2]
  redis.call('HSET', state, 'place', string.format('%.0f', place))
  redis.call('DEL', history)
else
  before = place - 1
end
local name = string.format('%.0f', place)
before = string.format('%.0f', before)

local kept = frame
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
return redis.call('PUBLISH', channel, name .. ' ' .. before .. ' ' .. frame)
"""
"""Give a frame its place, keep it for a while unless it is too large, and publish it.

Arguments: channel, account, frame; bounds of the history in frames, in bytes, and in bytes of all accounts;
how long it and the last place live in ms; how keys of histories begin; the number of the frame. One that its
node published before is not published again. When the total is reached, the history of the account that has
been quiet for longest goes. The first place, and the one after a long silence, is the time in microseconds:
higher than all before.
"""

RECOVER: Final = """
local top = redis.call('HGET', KEYS[1], 'place')
if not top then return {'0', '0', '0', {}} end
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)
if not first[1] or top == ARGV[1] then return {top, '0', '0', {}} end
local entries = redis.call('XRANGE', KEYS[2], '(' .. ARGV[1] .. '-0', '+')
return {top, first[1][1], first[1][2][2], entries}
"""
"""The last place, the first frame still there and the place before it, and all frames after a place."""

HOLDERS: Final = """
local found, all, alive = {}, redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  local node = string.sub(all[i], 1, 16)
  if alive[node] == nil then
    alive[node] = redis.call('EXISTS', ARGV[1] .. node)
    if alive[node] == 1 and redis.call('PUBSUB', 'NUMSUB', ARGV[2] .. node)[2] == 0 then alive[node] = 2 end
  end
  if alive[node] == 1 then
    found[#found + 1] = all[i]
    found[#found + 1] = all[i + 1]
  elseif alive[node] == 0 then
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return found
"""
"""The claims on one name whose nodes are alive and listen; those of nodes whose lease has lapsed are removed.

A node that was killed stops listening at once, long before its lease lapses.
"""

ALIVE: Final = """
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[5])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3] - ARGV[5])
local silent = {}
for _, node in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if node ~= ARGV[1] and redis.call('PUBSUB', 'NUMSUB', ARGV[2] .. node)[2] == 0 then
    silent[#silent + 1] = node
  end
end
return silent
"""
"""Say that a node is alive, drop its old marks, and name the nodes that do not listen.

Arguments: the node, how channels of nodes begin, now and the time before which marks are old, in s, and how
long a node that is gone is remembered.
"""
