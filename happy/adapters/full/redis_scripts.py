"""What Redis does by itself, in one step that no other command can come between."""

from typing import Final

PUBLISH: Final = """
local id, before = redis.call('INCR', KEYS[1]), 0
if id == 1 then
  local t = redis.call('TIME')
  id = t[1] * 1000000 + t[2]
  redis.call('SET', KEYS[1], string.format('%.0f', id))
  redis.call('DEL', KEYS[2])
else
  before = id - 1
end
local place, kept = string.format('%.0f', id), ''
if ARGV[5] == '1' then kept = ARGV[2] end
before = string.format('%.0f', before)
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], place .. '-0', 'b', before, 'm', kept)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return redis.call('PUBLISH', ARGV[1], place .. ' ' .. before .. ' ' .. ARGV[2])
"""
"""Number a frame, keep it for a while (its body if the last argument says so) and publish it.

A history that has expired begins again with a number higher than all before: the time in microseconds.
"""

RECOVER: Final = """
local top = redis.call('GET', KEYS[1])
if not top then return {'0', '0', '0', {}} end
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)
if not first[1] or top == ARGV[1] then return {top, '0', '0', {}} end
local entries = redis.call('XRANGE', KEYS[2], '(' .. ARGV[1] .. '-0', '+')
return {top, first[1][1], first[1][2][2], entries}
"""
"""The newest number, the first entry still there with the number before it, and all after a number."""

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
