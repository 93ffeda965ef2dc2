"""A running service as doctor asks it: every answer is set by the test, including invalid ones."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support.fake_context import FakeContext, status_document
from swim_server.keys.format import Tier
from swim_server.keys.records import KeyRecord

LIMITS = {"public": 5, "developer": 50, "partner": 500, "system": 10_000}


def promises(**more: Any) -> dict[str, Any]:
    """Return the limits of a process with the default configuration."""
    kind = {"keep_seconds": 86_400.0, "has_gap": False}
    return {
        "tiers": {
            tier: {"connections": limit, "connections_per_key": None, "messages_per_second": 10, "current": 0}
            for tier, limit in LIMITS.items()
        },
        "history": {
            "max_bytes": 2_000_000, "events": dict(kind), "positions": kind | {"keep_seconds": 900.0}, "problem": None,
        },
        "sources": [], "heartbeat_seconds": 30.0, "recheck_seconds": 30.0, "now_ms": 1,
        **more,
    }  # fmt: skip


def tally(**more: Any) -> dict[str, Any]:
    """Return the tally of two clients with one key."""
    return {
        "made": 10, "gone": 8, "public": 2, "closing": 0, "admitted": {"developer": 2}, "listed": {"developer": 2},
        "is_handing_over": False, "slow_consumers": 0, "evictions": [],
        "keys": [{"key_id": 1, "tier": "developer", "owner": "vNAS", "connections": 2}],
        "agents": {"Python/3.11 websockets/17": 2}, "lagging": [], **more,
    }  # fmt: skip


def status(**more: Any) -> dict[str, Any]:
    """Return the status of a process with a known address."""
    return status_document(
        url="ws://127.0.0.1:8090/api/swim/v1/ws", sources=[], keys={"problem": None, "recheck_error": None},
        history={"newest_id": "1768573815123-0", "oldest_id": None, "size_bytes": 1000}, **more,
    )  # fmt: skip


def key(id: int = 1, **fields: Any) -> KeyRecord:
    """Return a valid key."""
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "hint": "swim_dev_…", "tier": Tier.DEVELOPER, "owner_name": "vNAS", "created_at": now - timedelta(days=100),
        "last_used_at": now,
    }  # fmt: skip
    return KeyRecord(id=id, **(values | fields))


class ServiceContext(FakeContext):
    """Answers requests from ``answers``; repeated requests from ``later``, whose last answer is repeated."""

    def __init__(self, home: Path, **options: Any) -> None:
        super().__init__(home, **options)
        self.answers |= {"status": status(), "promises": promises(), "tally": tally()}
        self.later: dict[str, list[Any]] = {}
        self.known: dict[str, Any] = {"database.rows": {1: key()}}
        """Facts that need no finding out."""
        self.asked: list[str] = []

    async def act(self, method: str, **params: Any) -> Any:
        return await self.ask_again(method, **params)

    async def ask_again(self, method: str, **params: Any) -> Any:
        self.asked.append(method)
        answers = self.later.get(method) or [self.answers[method]]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return deepcopy(answer)

    async def fact(self, name: str, observe: Callable[[], Coroutine[Any, Any, Any]], source: str, **more: Any) -> Any:
        if name in self.known:
            if isinstance(self.known[name], Exception):
                raise self.known[name]
            return self.known[name]
        return await super().fact(name, observe, source, **more)

    def keys(self, *records: KeyRecord) -> None:
        """Set the rows of the key table."""
        self.known["database.rows"] = {record.id: record for record in records}
