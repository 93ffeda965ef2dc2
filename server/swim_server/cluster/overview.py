"""Information for operators about the server that nodes share, and its leases."""

from __future__ import annotations

from typing import Any

from swim_server.cluster.line import Line

COUNTED = 1000
_SETTINGS = ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy")


async def read_engine(line: Line) -> dict[str, Any]:
    """Read how durably the server stores data. Raises BrokerUnavailable."""
    info = _pairs((await line.call("INFO")).decode("utf-8", "replace"))
    found: dict[str, str] = {}
    for name in _SETTINGS:
        answer: list[bytes] = await line.call("CONFIG", "GET", name)
        if len(answer) == 2:
            found[name] = answer[1].decode("utf-8", "replace")
    return {
        "version": info.get("valkey_version") or info.get("redis_version", ""),
        "appendonly": found.get("appendonly", ""),
        "appendfsync": found.get("appendfsync", ""),
        "maxmemory": int(found.get("maxmemory", "0")),
        "maxmemory_policy": found.get("maxmemory-policy", ""),
        "used_memory": int(info.get("used_memory", "0")),
    }


async def read_leases(line: Line) -> list[tuple[str, str | None, float]]:
    """Read which node runs which source, and when its lease expires. Raises BrokerUnavailable."""
    seconds, microseconds = await line.call("TIME")
    now_ms = int(seconds) * 1000 + int(microseconds) // 1000
    rows: list[bytes] = await line.call("HKEYS", line.names.state)
    sources = [row.decode().removeprefix("fence:") for row in rows if row.startswith(b"fence:")]
    found: list[tuple[str, str | None, float]] = []
    for source in sorted(sources):
        holder, until = await line.call("HMGET", line.names.source(source), "holder", "until")
        left = 0.0 if until is None else (int(until) - now_ms) / 1000
        found.append((source, holder.decode() if holder is not None and left > 0 else None, round(max(left, 0.0), 1)))
    return found


async def count_behind(line: Line, newest_id: str) -> int:
    """Count the events after an id, up to a thousand per stream. Raises BrokerUnavailable."""
    number = 0
    for stream in (line.names.events, line.names.positions):
        number += len(await line.call("XRANGE", stream, f"({newest_id}", "+", "COUNT", COUNTED))
    return min(number, COUNTED)


def _pairs(text: str) -> dict[str, str]:
    lines = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name: value for name, _, value in lines}
