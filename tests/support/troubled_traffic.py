"""Simulated flights with every trouble that occurs on the network, and the truth about them."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Literal, NamedTuple

import msgspec
from swim_server.detection.feed import FeedPilot, FeedPrefile, Snapshot
from swim_server.detection.geodesy import destination
from swim_server.protocol.timestamps import format_ms, parse_ms
from swim_server.sources.simulator.traffic import SimulatedFlight

MINUTE_MS = 60_000

Trouble = Literal[
    "none", "frozen", "paused", "accelerated", "glitch", "set ahead", "flicker", "renamed", "disconnected",
    "shared member",
]  # fmt: skip
TROUBLES: dict[Trouble, float] = {
    "none": 0.30,
    "paused": 0.06,
    "accelerated": 0.04,
    "frozen": 0.12,
    "glitch": 0.08,
    "set ahead": 0.06,
    "flicker": 0.12,
    "renamed": 0.06,
    "disconnected": 0.12,
    "shared member": 0.04,
}
"""How many flights each befalls."""
ACCELERATION = 4
"""Simulated time goes so much faster where a pilot lets it."""


class Seen(NamedTuple):
    """What a snapshot lists of a flight, and the truth about it."""

    pilot: FeedPilot | None
    prefile: FeedPrefile | None
    shows_airborne: bool | None
    """As far as an attentive observer can tell; None within feet of the ground, and while it rolls out."""
    leap: int
    """Another number than the report before had: the aircraft was set to another place in between."""

    @property
    def key(self) -> tuple[int, str]:
        """Member and callsign."""
        entry = self.pilot or self.prefile
        assert entry is not None
        return entry.cid, entry.callsign


class TroubledFlight:
    """A simulated flight and its trouble. The same random numbers give the same trouble."""

    def __init__(self, flight: SimulatedFlight, random: Random, other_cid: int) -> None:
        self._flight = flight
        self._random = random
        self.trouble: Trouble = random.choices(list(TROUBLES), list(TROUBLES.values()))[0]
        if flight.is_withdrawn or flight.ends_ms - flight.connects_ms < 20 * MINUTE_MS:
            self.trouble = "none"
        self._cid = other_cid if self.trouble == "shared member" else flight.cid
        self._ahead_ms = random.randint(15, 40) * MINUTE_MS
        self._from_ms, self._until_ms = self._window(random)
        self._noise = random.randint(-8, 8)

    @property
    def ends_ms(self) -> int:
        """When it is gone permanently."""
        return self._flight.ends_ms

    def see(self, at_ms: int) -> Seen | None:
        """Return what a snapshot taken at this moment lists."""
        prefile = self._flight.prefile(at_ms)
        if prefile is not None:
            return Seen(None, msgspec.structs.replace(prefile, cid=self._cid), False, 0)
        if self.trouble == "disconnected" and self._from_ms <= at_ms < self._until_ms:
            return None
        shown_ms, lives_ms = at_ms, self._lives_ms(at_ms)
        if self.trouble == "frozen" and self._from_ms <= at_ms < self._until_ms:
            shown_ms = lives_ms = self._from_ms
        pilot = self._flight.pilot(lives_ms)
        if pilot is None:
            return None
        reported_ms = shown_ms - (lives_ms - _reported(pilot))
        lived_ms = _reported(pilot)
        shows_airborne = self._shows_airborne(pilot, lived_ms)
        dressed = self._dress(pilot, at_ms, reported_ms)
        return Seen(dressed, None, shows_airborne, self._leap(at_ms))

    def _lives_ms(self, at_ms: int) -> int:
        """Return the moment of its flight that it is at."""
        within_ms = max(0, min(at_ms, self._until_ms) - self._from_ms)
        if self.trouble == "set ahead" and at_ms >= self._from_ms:
            return at_ms + self._ahead_ms
        if self.trouble == "paused":
            return at_ms - within_ms
        if self.trouble == "accelerated":
            return at_ms + (ACCELERATION - 1) * within_ms
        return at_ms

    def _when_ms(self, lived_ms: int) -> int | None:
        """Return when it was at a moment of its flight; None: it was moved past it."""
        if lived_ms < self._from_ms or self.trouble not in {"set ahead", "paused", "accelerated"}:
            return lived_ms
        if self.trouble == "set ahead":
            return None if lived_ms < self._from_ms + self._ahead_ms else lived_ms - self._ahead_ms
        lasted_ms = self._until_ms - self._from_ms
        if self.trouble == "paused":
            return lived_ms + lasted_ms
        lived_within_ms = lived_ms - self._from_ms
        if lived_within_ms < ACCELERATION * lasted_ms:
            return self._from_ms + lived_within_ms // ACCELERATION
        return lived_ms - (ACCELERATION - 1) * lasted_ms

    def truth(self) -> Iterator[tuple[str, int]]:
        """Return when it really took off and landed; what it was moved past never happened."""
        for landing in self._flight.landings:
            for kind, lived_ms in (("departed", landing.off_ms), ("arrived", landing.on_ms)):
                at_ms = self._when_ms(lived_ms)
                if at_ms is not None:
                    yield kind, at_ms

    def arrivals(self) -> Iterator[tuple[int, str | None, bool | None]]:
        """Return when it arrived where, and whether diverted."""
        for landing in self._flight.landings:
            at_ms = self._when_ms(landing.on_ms)
            if at_ms is not None:
                is_listed = landing.at.code != "ZZZZ"
                yield at_ms, landing.at.code if is_listed else None, landing.is_diverted if is_listed else None

    @property
    def cid(self) -> int:
        """The member."""
        return self._cid

    def _window(self, random: Random) -> tuple[int, int]:
        """Choose when the trouble begins and ends: mostly where it matters, around take-off and landing."""
        flight = self._flight
        landing = random.choice(flight.landings) if flight.landings else None
        off_ms, on_ms = (flight.off_ms, flight.on_ms) if landing is None else (landing.off_ms, landing.on_ms)
        around = random.choice((off_ms, on_ms, random.randint(flight.connects_ms, flight.ends_ms)))
        begins = around + random.randint(-4 * MINUTE_MS, 2 * MINUTE_MS)
        lasts = random.randint(10_000, 5 * MINUTE_MS)
        if self.trouble == "glitch":
            lasts = 15_000
        if self.trouble == "set ahead" and begins > on_ms - 20 * MINUTE_MS:
            begins = off_ms - random.randint(0, 3) * MINUTE_MS
        if self.trouble == "set ahead" and len(flight.landings) > 1:
            begins = off_ms + 60_000
            self._ahead_ms = min(self._ahead_ms, max(MINUTE_MS, on_ms - off_ms - 10 * MINUTE_MS))
        if self.trouble == "accelerated":  # as it is done: in the cruise
            begins, lasts = off_ms + (on_ms - off_ms) // 3, min(5 * MINUTE_MS, (on_ms - off_ms) // 4 // ACCELERATION)
        return begins, begins + lasts

    def _is_airborne(self, reported_ms: int) -> bool:
        return any(landing.off_ms < reported_ms <= landing.on_ms for landing in self._flight.landings)

    def _shows_airborne(self, pilot: FeedPilot, reported_ms: int) -> bool | None:
        """Return what an attentive observer can see: above some hundred feet, or slow on the ground."""
        margin_ms = 40_000 if self._flight.aircraft.is_rotorcraft else 12_000
        landings = self._flight.landings
        if any(landing.off_ms + margin_ms <= reported_ms <= landing.on_ms - margin_ms for landing in landings):
            return True
        if self._is_airborne(reported_ms):
            return None
        is_slow = (pilot.groundspeed or 0) <= 40
        return False if is_slow or reported_ms <= self._flight.off_ms else None

    def _leap(self, at_ms: int) -> int:
        if self.trouble == "set ahead":
            return int(at_ms >= self._from_ms)
        if self.trouble == "glitch":
            return 0 if at_ms < self._from_ms else 1 if at_ms < self._until_ms else 2
        return 0

    def _dress(self, pilot: FeedPilot, at_ms: int, reported_ms: int) -> FeedPilot:
        is_within = self._from_ms <= at_ms < self._until_ms
        dressed = msgspec.structs.replace(
            pilot,
            cid=self._cid,
            altitude=(pilot.altitude or 0) + self._noise,
            last_updated=format_ms(reported_ms),
        )
        if self.trouble == "paused" and is_within:
            dressed.groundspeed = 0
        if self.trouble == "renamed" and at_ms >= self._from_ms:
            dressed.callsign = pilot.callsign[:5] + "X"
        if self.trouble == "disconnected" and at_ms >= self._until_ms:
            dressed.logon_time = format_ms(self._until_ms - 5_000)
        if self.trouble == "glitch" and is_within:
            assert dressed.latitude is not None
            assert dressed.longitude is not None
            dressed.latitude, dressed.longitude = destination(dressed.latitude, dressed.longitude, 45, 300)
        if self.trouble == "flicker" and 8 <= (dressed.groundspeed or 0) <= 40 and not self._is_airborne(reported_ms):
            dressed.groundspeed = self._random.choice((38, 44, 47, 49, 51, 53, 58, 62))
        return dressed


def _reported(pilot: FeedPilot) -> int:
    return parse_ms(pilot.last_updated)


class Delivery(NamedTuple):
    """A snapshot as detection receives it."""

    snapshot: Snapshot
    seen: list[Seen]
    is_usable: bool
    """False for what has to be skipped: repeated, out of order, truncated."""


def deliver(shots: Iterator[tuple[int, list[Seen]]], random: Random) -> Iterator[Delivery]:
    """Lose some snapshots, and deliver some twice, late or truncated."""
    before: Delivery | None = None
    for at_ms, seen in shots:
        pilots = [one.pilot for one in seen if one.pilot is not None]
        prefiles = [one.prefile for one in seen if one.prefile is not None]
        delivery = Delivery(Snapshot(at_ms, pilots, prefiles), seen, True)
        fate = random.random()
        if fate < 0.02 and before is not None:
            continue  # dropped
        if fate < 0.025 and before is not None:
            yield Delivery(Snapshot(at_ms, pilots[: len(pilots) // 50], []), [], False)
            continue
        if fate < 0.03 and before is not None:
            yield delivery
            yield before._replace(is_usable=False)
            before = delivery
            continue
        yield delivery
        if fate > 0.98:
            yield delivery._replace(is_usable=False)
        before = delivery
