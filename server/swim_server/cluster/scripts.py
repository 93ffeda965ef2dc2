"""The operations on what nodes share, each atomic on the server."""

from __future__ import annotations

from swim_server.brokers.redis_stream.scripts import NOW, make_script

BEAT = make_script(
    NOW
    + """
-- KEYS: nodes, places, state, control, beats.
-- ARGV: 1 run of the server, 2 node, 3 lease, 4 grace, 5 what it says of itself, 6 its counts, 7 '1': send a probe,
-- 8 the process, 9 number of its report, 10 number of takes, of each tier, limit, key, limit of the key or ''.
local now = clock('')
local me = ARGV[2]
local lease = tonumber(ARGV[3])
local process, number = string.match(redis.call('HGET', KEYS[5], me) or '', '^(%S+) (%d+)$')
if process == ARGV[8] and tonumber(number) >= tonumber(ARGV[9]) then return {0, 0, {}, {}, 0, 0} end
redis.call('HSET', KEYS[5], me, ARGV[8] .. ' ' .. ARGV[9])
local before = redis.call('HGET', KEYS[1], me)
local was_alive = before and now - tonumber(string.match(before, '^%d+')) <= lease
redis.call('HSET', KEYS[1], me, string.format('%d', now) .. ' ' .. ARGV[5])
local alive, count = {}, 0
local nodes = redis.call('HGETALL', KEYS[1])
for at = 1, #nodes, 2 do
  local age = now - tonumber(string.match(nodes[at + 1], '^%d+'))
  if age < 0 then -- the clock went back, as after a failover: its lease begins again
    redis.call('HSET', KEYS[1], nodes[at], string.format('%d', now) .. string.match(nodes[at + 1], '^%d+(.*)$'))
    age = 0
  end
  if age <= lease then alive[nodes[at]] = true; count = count + 1
  elseif age > 86400000 then
    redis.call('HDEL', KEYS[1], nodes[at])
    redis.call('HDEL', KEYS[2], nodes[at])
    redis.call('HDEL', KEYS[5], nodes[at])
  end
end
local own = cjson.decode(ARGV[6])
local totals = {}
local function add(counts)
  for name, number in pairs(counts) do totals[name] = (totals[name] or 0) + number end
end
local places = redis.call('HGETALL', KEYS[2])
for at = 1, #places, 2 do
  if places[at] ~= me and alive[places[at]] then add(cjson.decode(places[at + 1])) end
end
add(own)
local over = {}
for name, number in pairs(totals) do over[#over + 1] = name; over[#over + 1] = number end
-- Until every node has reported to this run of the server, what they hold is not known.
local opened = redis.call('HMGET', KEYS[3], 'opened_at', 'run')
local must_wait = not opened[1] or opened[2] ~= ARGV[1] or now - tonumber(opened[1]) < tonumber(ARGV[4])
local answers = {}
for take = 1, tonumber(ARGV[10]) do
  local at = 11 + (take - 1) * 4
  local tier, key = 't:' .. ARGV[at], 'k:' .. ARGV[at + 2]
  local tier_total, key_total = totals[tier] or 0, totals[key] or 0
  if must_wait then answers[take] = 'wait'
  elseif tier_total >= tonumber(ARGV[at + 1]) then answers[take] = 'tier ' .. tier_total
  elseif ARGV[at + 3] ~= '' and key_total >= tonumber(ARGV[at + 3]) then answers[take] = 'key ' .. key_total
  else
    answers[take] = 'ok'
    totals[tier] = tier_total + 1
    own[tier] = (own[tier] or 0) + 1
    if ARGV[at + 3] ~= '' then
      totals[key] = key_total + 1
      own[key] = (own[key] or 0) + 1
    end
  end
end
redis.call('HSET', KEYS[2], me, cjson.encode(own))
if ARGV[7] == '1' then redis.call('XADD', KEYS[4], 'MAXLEN', '~', 1000, '*', 'kind', 'probe', 'node', me) end
local revision = tonumber(redis.call('HGET', KEYS[3], 'revision') or '0')
return {was_alive and 1 or 0, count, over, answers, process and process ~= ARGV[8] and 1 or 0, revision}
"""
)
"""Report that a node is alive and what it holds; take slots for new connections, exact over all nodes.

Answers whether it was alive before, how many are, the totals before the takes, one answer per take, whether the
last report under this name was another process's, and how many key changes were announced so far. One that arrives
late, after a newer one of the process, is ignored.
"""

ANNOUNCE = make_script(
    NOW
    + """
-- KEYS: state, control. ARGV: 1 how many messages are kept, then names and values of fields.
local revision = redis.call('HINCRBY', KEYS[1], 'revision', 1)
return redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 'revision', revision, unpack(ARGV, 2))
"""
)
"""Announce a changed key, and count it: whoever has read the number finds the message. Answers its id."""

LEAVE = make_script("for _, key in ipairs(KEYS) do redis.call('HDEL', key, ARGV[1]) end return 1")
"""Remove a node that stops in order."""

LEASE = make_script(
    NOW
    + """
-- KEYS: lease, state. ARGV: 1 source, 2 holder, 3 lease.
local now = clock('')
local lease = redis.call('HMGET', KEYS[1], 'holder', 'until', 'token')
if lease[1] and tonumber(lease[2]) > now + tonumber(ARGV[3]) then -- the clock went back, as after a failover
  lease[2] = string.format('%d', now + tonumber(ARGV[3]))
  redis.call('HSET', KEYS[1], 'until', lease[2])
end
if lease[1] and lease[1] ~= ARGV[2] and tonumber(lease[2]) > now then return {0, lease[1]} end
local token = redis.call('HGET', KEYS[2], 'fence:' .. ARGV[1])
if lease[1] ~= ARGV[2] or token == false or token ~= lease[3] then
  token = redis.call('HINCRBY', KEYS[2], 'fence:' .. ARGV[1], 1)
end
redis.call('HSET', KEYS[1], 'holder', ARGV[2], 'until', string.format('%d', now + tonumber(ARGV[3])), 'token', token)
return {tonumber(token), ARGV[2]}
"""
)
"""Take or renew the lease of a source. Answers the fencing token, or 0 and the holder."""

RELEASE = make_script(
    """
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then redis.call('HSET', KEYS[1], 'until', '0') end
return 1
"""
)
"""Release a lease."""

STORE_SOURCE_STATE = make_script(
    """
-- KEYS: state of the source, state. ARGV: 1 source, 2 fencing token, then names and contents of files.
if redis.call('HGET', KEYS[2], 'fence:' .. ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
for at = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end
return 1
"""
)
"""Store a source's state, if this node still runs it."""
