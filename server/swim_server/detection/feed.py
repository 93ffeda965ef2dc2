"""Snapshots of the VATSIM data feed, version 3: only the fields that are used, read quickly and tolerantly.

The fields are those of https://vatsim.dev/api/data-api/get-network-data. An invalid value costs that field of one
pilot, or at most that pilot; only a document that is not the feed at all is refused.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MAX_PILOTS = 20_000
"""A longer list is cut, to bound memory: no VATSIM event ever came near."""

MemberNumber = Annotated[int, Meta(ge=1, le=2**53)]
Callsign = Annotated[str, Meta(min_length=1, max_length=24)]
"""Without blanks; the decoder checks all of a document at once."""
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Feet = Annotated[float, Meta(ge=-2_000, le=150_000)]
Knots = Annotated[float, Meta(ge=0, le=5_000)]
Degrees = Annotated[float, Meta(ge=-360, le=720)]
Text = Annotated[str, Meta(max_length=20_000)]

Fault = Literal["truncated", "not JSON", "not a feed"]


class InvalidSnapshot(ValueError):
    """A document that is not a snapshot: nothing of it can be used, but the next one may be valid."""

    def __init__(self, reason: Fault, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(reason, detail)

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class FeedPlan(msgspec.Struct, gc=False):
    """A filed flight plan, as sent."""

    aircraft: Text | None = None
    aircraft_faa: Text | None = None
    """``H/B77W/L``."""
    aircraft_short: Text | None = None
    """``B77W``."""
    departure: Text | None = None
    arrival: Text | None = None
    route: Text | None = None


class FeedPilot(msgspec.Struct, gc=False):
    """A connected pilot, as sent. Altitude in feet above mean sea level, speed in knots."""

    cid: MemberNumber
    callsign: Callsign
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    altitude: Feet | None = None
    groundspeed: Knots | None = None
    heading: Degrees | None = None
    flight_plan: FeedPlan | None = None
    logon_time: Text | None = None
    last_updated: Text | None = None


class FeedPrefile(msgspec.Struct, gc=False):
    """A flight plan whose pilot isn't connected."""

    cid: MemberNumber
    callsign: Callsign
    flight_plan: FeedPlan | None = None
    last_updated: Text | None = None


class FeedGeneral(msgspec.Struct):
    """When the snapshot was taken, in the feed's two formats."""

    update_timestamp: str | None = None
    """RFC 3339 with six or seven fraction digits."""
    update: str | None = None
    """``20241121125725``."""


class Snapshot(msgspec.Struct, frozen=True):
    """The network at one moment."""

    update_ms: int
    """The feed's own timestamp, milliseconds since the epoch."""
    pilots: list[FeedPilot]
    prefiles: list[FeedPrefile] | None = None
    """None: the document does not mention prefiles, which differs from an empty list."""
    dropped: int = 0
    """Entries without a member number or callsign."""
