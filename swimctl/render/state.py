"""Entries of the state as table rows and as lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swimctl.table import Column, fitting, table
from swimctl.text import cell, clean, clock, count

if TYPE_CHECKING:
    from rich.console import RenderableType

FLIGHTS: tuple[Column, ...] = (
    Column("callsign", "CALLSIGN", style="cyan", is_whole=True),
    Column("dep", "DEP"),
    Column("arr", "ARR"),
    Column("phase", "PHASE", rank=2),
    Column("altitude_ft", "FEET", justify="right", show=count, rank=3),
    Column("groundspeed_kts", "KNOTS", justify="right", rank=4),
    Column("current_artcc", "CENTRE", rank=5),
    Column("equipment", "AIRCRAFT", rank=7),
    Column("off_utc", "OFF", show=clock, rank=8),
    Column("updated_at", "UPDATED", show=clock, rank=6),
)
TMIS: tuple[Column, ...] = (
    Column("program_id", "ID", style="cyan", is_whole=True),
    Column("program_type", "TYPE"),
    Column("airport", "AIRPORT"),
    Column("status", "STATUS", rank=2),
    Column("start_time", "START", rank=4),
    Column("end_time", "END", rank=3),
    Column("reason", "REASON", is_flexible=True, rank=1),
)
PLAIN_FLIGHTS: tuple[Column, ...] = tuple(
    Column(name, name)
    for name in (
        "callsign", "flight_uid", "dep", "arr", "phase", "latitude", "longitude", "altitude_ft", "groundspeed_kts",
        "heading_deg", "vertical_rate_fpm", "current_artcc", "equipment", "off_utc", "in_utc", "updated_at",
    )
)  # fmt: skip
PLAIN_TMIS: tuple[Column, ...] = tuple(
    Column(name, name)
    for name in ("program_id", "program_type", "airport", "status", "start_time", "end_time", "reason", "updated_at")
)
_SHOWN = (
    "flight_uid",
    "program_id",
    "config_id",
    "callsign",
    "program_type",
    "airport",
    "artcc",
    "dep",
    "arr",
    "phase",
)


def flights_picture(found: Sequence[Mapping[str, Any]], as_of: str, width: int, height: int) -> RenderableType:
    """Lay out as many flights as fit on a screen, by callsign; a line above gives their total."""
    from rich.console import Group
    from rich.text import Text

    rows = sorted(found, key=lambda flight: str(flight.get("callsign")))[: max(1, height - 2)]
    shown, _ = fitting(FLIGHTS, rows, width)
    more = f", the first {len(rows)} of them" if len(rows) < len(found) else ""
    return Group(Text(f"{len(found):,} flights as of {clean(as_of)}{more}", style="bold"), table(shown, rows))


def state_lines(message: Mapping[str, Any]) -> Iterator[str]:
    """Format a state message as lines, one per entry."""
    kind, data = str(message.get("kind")), message.get("data")
    if message.get("type") == "state.left":
        yield clean(f"left {kind} {_named(message)}")
    elif message.get("type") == "state.entered" and isinstance(data, Mapping):
        yield clean(f"entered {kind} {_named(data)}")
    elif isinstance(data, Mapping):
        for entry in data.get(kind) or ():
            yield clean(f"state {kind} {_named(entry)}")


def _named(entry: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={cell(entry[name])}" for name in _SHOWN if entry.get(name) is not None)
