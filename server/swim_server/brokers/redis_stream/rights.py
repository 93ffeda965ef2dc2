"""Finds out at once, and not at the first event, that the server's user may not do what is needed."""

from __future__ import annotations

from swim_server.brokers.redis_stream.errors import ServerRefused
from swim_server.brokers.redis_stream.names import Names
from swim_server.brokers.redis_stream.scripts import make_script
from swim_server.brokers.redis_stream.session import Session

_TRY = make_script(
    """
-- KEYS: one that nothing else uses.
local key, missing = KEYS[1], {}
local words = {
  {'DEL', key}, {'HSET', key, 'a', '1'}, {'HSETNX', key, 'a', '1'}, {'HINCRBY', key, 'a', '1'}, {'HGET', key, 'a'},
  {'HMGET', key, 'a'}, {'HGETALL', key}, {'HKEYS', key}, {'HDEL', key, 'a'}, {'LPUSH', key, 'a'},
  {'LTRIM', key, '0', '1'}, {'LRANGE', key, '0', '1'}, {'DEL', key}, {'SET', key, 'a', 'PX', '1000'}, {'GET', key},
  {'EXPIRE', key, '1'}, {'PEXPIRE', key, '1000'}, {'DEL', key}, {'XADD', key, '1-1', 'a', '1'},
  {'XTRIM', key, 'MAXLEN', '1'}, {'XRANGE', key, '-', '+'}, {'XREVRANGE', key, '+', '-'},
  {'XREAD', 'COUNT', '1', 'STREAMS', key, '0'}, {'TIME'}, {'DEL', key}
}
for _, each in ipairs(words) do
  local answer = redis.pcall(unpack(each))
  local said = type(answer) == 'table' and answer.err and string.lower(answer.err) or ''
  if string.find(said, 'permission') or string.find(said, "can't run") or string.find(said, "can't access")
    or string.find(said, 'acl failure') then
    if missing[#missing] ~= each[1] then missing[#missing + 1] = each[1] end
  end
end
return missing
"""
)
"""Answers the commands that the user may not run. Whatever else is wrong, a full memory say, is not told."""


async def check_rights(session: Session, names: Names, shown: str) -> None:
    """Raise ServerRefused with the commands that the user lacks."""
    missing: list[bytes] = await session.script(_TRY, (names.check,))
    if missing:
        lacks = ", ".join(sorted({name.decode() for name in missing}))
        raise ServerRefused(
            f"{shown} does not let its user run {lacks}: {needed(names.prefix)}",
        )


def needed(prefix: str) -> str:
    """Return what the user must be allowed to do."""
    return f"it needs INFO, CONFIG GET, scripts, and all commands on keys that begin with {{{prefix}}}:"
