"""The Lua scripts: the server executes each of them atomically."""

from __future__ import annotations

import hashlib

import msgspec


class Script(msgspec.Struct, frozen=True):
    """A script and the digest under which the server caches it."""

    text: str
    digest: str


def make_script(text: str) -> Script:
    """Return a script with its digest."""
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


NOW = """
if redis.replicate_commands then redis.replicate_commands() end
local function clock(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function parse(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end
"""
"""Beginning of scripts that need the time, or read ids."""

PUBLISH = make_script(
    NOW
    + """
-- KEYS: state, events, positions, commit, then producers' names.
-- ARGV: 1 epoch, 2 now or '', 3 keep, 4 keep of positions, 5 keep of names, 6 source or '', 7 its fencing token,
-- 8 number of this commit, 9 calls; of each call the number of its events; of each event the index of its name or 0,
-- and the number of its parts; of each part whether it is a position, the room for its id, and the entry.
local answered = redis.call('HMGET', KEYS[4], 'number', 'answer')
if answered[1] == ARGV[8] then return {'ok', cjson.decode(answered[2])} end
if answered[1] and tonumber(answered[1]) > tonumber(ARGV[8]) then return {'late', answered[1]} end
local state = redis.call('HMGET', KEYS[1], 'epoch', 'last', 'trim_at')
if not state[1] then return {'empty', ''} end
if state[1] ~= ARGV[1] then return {'epoch', state[1]} end
if ARGV[6] ~= '' then
  local token = redis.call('HGET', KEYS[1], 'fence:' .. ARGV[6])
  if token ~= ARGV[7] then return {'fenced', token or ''} end
end
local now = clock(ARGV[2])
local names_ms = tonumber(ARGV[5])
local ms, seq = parse(state[2])
local at, named, replies = 10, {}, {}
local has_stored = false
for call = 1, tonumber(ARGV[9]) do
  local count = tonumber(ARGV[at])
  at = at + 1
  local reply, entries, names, refused = {}, {}, {}, nil
  local call_ms, call_seq = ms, seq
  for event = 1, count do
    local name, parts = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    at = at + 2
    local known = nil
    if name > 0 then
      known = names[name] or named[name]
      if not known then
        known = redis.call('GET', KEYS[4 + name])
        if known and parse(known) < now - names_ms then known = nil end
      end
    end
    if known then
      reply[event] = '=' .. known
      at = at + 3 * parts
    else
      local id = nil
      for part = 1, parts do
        if now > call_ms then call_ms, call_seq = now, 0
        elseif call_seq < 2097151 then call_seq = call_seq + 1
        else call_ms, call_seq = call_ms + 1, 0 end
        id = string.format('%d-%d', call_ms, call_seq)
        if #id > tonumber(ARGV[at + 1]) then refused = refused or event end
        entries[#entries + 1] = {ARGV[at], id, ARGV[at + 2]}
        at = at + 3
      end
      reply[event] = '+' .. id
      if name > 0 then names[name] = id end
    end
  end
  if refused then
    replies[call] = {'!', tostring(refused)}
  else
    ms, seq = call_ms, call_seq
    for _, entry in ipairs(entries) do
      redis.call('XADD', KEYS[entry[1] == '1' and 3 or 2], entry[2], 'event', entry[3])
      has_stored = true
    end
    for name, id in pairs(names) do
      named[name] = id
      redis.call('SET', KEYS[4 + name], id, 'PX', names_ms)
    end
    replies[call] = reply
  end
end
if has_stored then
  local last = string.format('%d-%d', ms, seq)
  redis.call('HSET', KEYS[1], 'last', last, 'last_event', last)
end
redis.call('HSET', KEYS[4], 'number', ARGV[8], 'answer', cjson.encode(replies))
redis.call('PEXPIRE', KEYS[4], 600000)
if now >= tonumber(state[3] or '0') then
  for key, keep in pairs({[KEYS[2]] = ARGV[3], [KEYS[3]] = ARGV[4]}) do
    local before = string.format('%d-0', math.max(now - tonumber(keep), 0))
    local last = redis.call('XREVRANGE', key, '(' .. before, '-', 'COUNT', 1)
    if last[1] then
      redis.call('XTRIM', key, 'MINID', before)
      redis.call('HSET', KEYS[1], key == KEYS[3] and 'trimmed_positions' or 'trimmed_events', last[1][1])
    end
  end
  redis.call('HSET', KEYS[1], 'trim_at', string.format('%d', now + 1000))
end
return {'ok', replies}
"""
)
"""Store the events of several calls.

Answers ``ok`` with ``+id``, ``=id of the first`` or ``!`` and the place of each; or ``empty``, ``epoch``, ``fenced``
with the value found; or ``late``: a later commit of the same process was executed before this one, which arrived on a
connection that was given up, and was repeated on another.
"""

OPEN_EPOCH = make_script(
    NOW
    + """
-- KEYS: state, events, positions, losses.
-- ARGV: 1 the epoch that is replaced, 2 the new one, 3 now or '', 4 an id that all new ones must exceed, 5 margin,
-- 6 installation, 7 run of the server, 8 version of what is stored, 9 the last id before what was lost, or '',
-- 10 the last id of a history that continues here, or ''.
local state = redis.call('HMGET', KEYS[1], 'epoch', 'last', 'installation')
if (state[1] or '') ~= ARGV[1] then return {'epoch', state[1] or ''} end
if state[3] and state[3] ~= ARGV[6] then return {'installation', state[3]} end
local now = clock(ARGV[3])
local ms, seq = 0, 0
local function raise(id)
  local other_ms, other_seq = parse(id)
  if other_ms > ms or (other_ms == ms and other_seq > seq) then ms, seq = other_ms, other_seq end
end
raise(ARGV[4])
if state[2] then raise(state[2]) end
for _, key in ipairs({KEYS[2], KEYS[3]}) do
  local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)
  if last[1] then raise(last[1][1]) end
end
local margin = 0
if ms > 0 then margin = tonumber(ARGV[5]) end
if now + margin > ms then ms, seq = now + margin, 0 else ms, seq = ms + margin, 0 end
local base = string.format('%d-%d', ms, seq)
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'last', base, 'installation', ARGV[6], 'run', ARGV[7], 'version', ARGV[8],
  'opened_at', string.format('%d', now))
redis.call('HSETNX', KEYS[1], 'begun', ARGV[10] ~= '' and ARGV[10] or base)
if ARGV[9] ~= '' then
  redis.call('LPUSH', KEYS[4], ARGV[9] .. ' ' .. base)
  redis.call('LTRIM', KEYS[4], 0, 99)
end
return {'ok', base}
"""
)
"""Begin a new order of ids, above every known id.

Answers ``ok`` with its beginning, or the node that was faster.
"""
