"""Connections as the running process counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from swimctl.doctor.probes.daemon_facts import asked

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext


class KeyTally(msgspec.Struct, frozen=True):
    """Connections of one key, admitted as of one tier."""

    key_id: int
    tier: str
    owner: str
    connections: int


class Laggard(msgspec.Struct):
    """A client that doesn't read as fast as it is written to."""

    id: str
    key_id: int
    owner: str
    buffered_bytes: int
    remote: str = ""


class Evicted(msgspec.Struct):
    """A client that was closed because it could not keep up."""

    seconds_ago: float
    id: str
    key_id: int | None = None
    owner: str | None = None


class Tally(msgspec.Struct):
    """Connections as the process counts them."""

    made: int
    gone: int
    public: int
    closing: int
    admitted: dict[str, int]
    listed: dict[str, int]
    is_handing_over: bool
    slow_consumers: int
    evictions: list[Evicted]
    keys: list[KeyTally] = []
    agents: dict[str, int] = {}
    lagging: list[Laggard] = []


async def tally(context: DoctorContext, *, anew: bool = False) -> Tally:
    """Return the counts. Raises CannotAsk."""
    return await asked(context, "tally", Tally, anew=anew)


async def brief_tally(context: DoctorContext) -> Tally:
    """Return the numbers alone, as they are now: they cost the process little."""
    return await asked(context, "tally", Tally, anew=True, brief=True)
