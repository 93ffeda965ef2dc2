"""Information for operators about the server that nodes share, and its leases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from swim_server.cluster.line import Line

if TYPE_CHECKING:
    from swim_server.cluster.membership import Node

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


class Lag(NamedTuple):
    """How far a node was behind the stream when it reported."""

    events: int
    """Counted up to a thousand."""
    ms: int
    """How long the first of them had been in the stream."""


async def read_lag(line: Line, node: Node) -> Lag:
    """Count the events that a node had not seen when it reported, although they were stored. Raises BrokerUnavailable.

    What was stored since then says nothing about it: it reports once a second.
    """
    events, first_ms = 0, node.reported_ms
    for stream in (line.names.events, line.names.positions):
        unseen: list[Any] = await line.call(
            "XRANGE", stream, f"({node.report.newest_id}", node.reported_ms - 1, "COUNT", COUNTED
        )
        events += len(unseen)
        if unseen:
            first_ms = min(first_ms, int(unseen[0][0].partition(b"-")[0]))
    return Lag(min(events, COUNTED), node.reported_ms - first_ms)


def _pairs(text: str) -> dict[str, str]:
    lines = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name: value for name, _, value in lines}
