"""Knows what should have been announced, from what was true in the delivered snapshots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from support.troubled_traffic import Delivery, Seen
from swim_server.protocol.events import NewEvent

TOLERANCE_MS = 180_000
"""An announcement so far from when it could be known counts as missed and as false."""
LATE_MS = 45_000
HIDDEN_MS = 360_000
"""What really happened may be hidden so long: by a frozen aircraft, a disconnection, dropped snapshots."""


class Fact(NamedTuple):
    """Something that could be known from a snapshot on."""

    kind: str
    key: tuple[int, str]
    at_ms: int
    """The snapshot's stamp."""


class Known:
    """What an attentive observer knows about one flight."""

    def __init__(self) -> None:
        self.absences = 0
        self.reported: str | None = None
        self.is_airborne: bool | None = None
        self.leap = 0


class Score(NamedTuple):
    """One line of the table."""

    kind: str
    true: int
    detected: int
    missed: int
    false: int
    late: int

    @property
    def precision(self) -> float:
        """The fraction of announcements that were true."""
        return 1.0 if not self.detected else 1 - self.false / self.detected

    @property
    def recall(self) -> float:
        """The fraction of facts that were announced."""
        return 1.0 if not self.true else 1 - self.missed / self.true


class Referee:
    """Watches what is delivered and announced, and compares at the end."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.announced: list[Fact] = []
        self._flights: dict[tuple[int, str], Known] = {}
        self._has_begun = False
        self._last_ms = 0
        self._premature: set[Fact] = set()
        """Announced while it was not true."""
        self._delays: dict[str, list[int]] = {}
        self._really: dict[tuple[str, int], list[int]] = {}
        """When members really took off and landed."""
        self._arrivals: dict[int, list[tuple[int, str | None, bool | None]]] = {}
        self._places: dict[Fact, tuple[str | None, bool | None]] = {}
        """Where arrivals are said to have been, and whether diverted."""

    def reveal(self, cid: int, truth: Iterable[tuple[str, int]]) -> None:
        """Reveal what a member's flight really did: announcing it is not false, even if nobody had to know."""
        for kind, at_ms in truth:
            self._really.setdefault((kind, cid), []).append(at_ms)

    def reveal_arrivals(self, cid: int, arrivals: Iterable[tuple[int, str | None, bool | None]]) -> None:
        """Reveal where a member's flight really arrived, and whether it was diverted."""
        self._arrivals.setdefault(cid, []).extend(arrivals)

    def misplaced(self) -> tuple[int, list[tuple[Fact, Any, Any]]]:
        """Count the arrivals at a known place; return those announced with another place, or wrongly as diverted.

        An unknown place (None) is never wrong.
        """
        known, wrong = 0, []
        for told, place in self._places.items():
            near = [one for one in self._arrivals.get(told.key[0], []) if abs(one[0] - told.at_ms) <= HIDDEN_MS]
            if near and told not in self._premature:
                known += 1
                true = min(near, key=lambda one: abs(one[0] - told.at_ms))[1:]
                is_right = any(one[1:] in {place, (place[0], None)} or place == (one[1], None) for one in near)
                wrong += [] if is_right else [(told, place, true)]
        return known, wrong

    def watch(self, delivery: Delivery, events: list[NewEvent], cids: dict[int, int]) -> None:
        """Note a snapshot and what detection made of it. ``cids``: members by flight number."""
        at_ms = delivery.snapshot.update_ms
        self._last_ms = max(self._last_ms, at_ms)
        present = {seen.key: seen for seen in delivery.seen}
        for event in events:
            if event.type not in ("flight.positions", "flight.updated"):
                key = (cids[event.data["flight_uid"]], event.data["callsign"])
                told = Fact(event.type.removeprefix("flight."), key, at_ms)
                if told.kind == "arrived":
                    self._places[told] = (event.data["arrived_at"], event.data["diverted"])
                self._hear(told, present.get(key))
        if not delivery.is_usable:
            return
        for key, seen in present.items():
            self._see(key, seen, at_ms)
        for key in [key for key in self._flights if key not in present]:
            self._miss(key, at_ms)
        self._has_begun = True

    def _hear(self, told: Fact, seen: Seen | None) -> None:
        self.announced.append(told)
        is_wrong = {"departed": False, "arrived": True}.get(told.kind)
        if seen is not None and is_wrong is not None and seen.shows_airborne is is_wrong:
            self._premature.add(told)

    def _see(self, key: tuple[int, str], seen: Seen, at_ms: int) -> None:
        known = self._flights.get(key)
        if known is None:
            known = self._flights[key] = Known()
            if self._has_begun:
                self.facts.append(Fact("created", key, at_ms))
        known.absences = 0
        if seen.pilot is None or seen.pilot.last_updated == known.reported:
            return
        known.reported = seen.pilot.last_updated
        if seen.leap != known.leap:
            known.leap, known.is_airborne = seen.leap, None
        if seen.shows_airborne is None:
            return
        if known.is_airborne is not None and known.is_airborne is not seen.shows_airborne:
            self.facts.append(Fact("departed" if seen.shows_airborne else "arrived", key, at_ms))
        known.is_airborne = seen.shows_airborne

    def _miss(self, key: tuple[int, str], at_ms: int) -> None:
        known = self._flights[key]
        known.absences += 1
        if known.absences == 2:
            self.facts.append(Fact("deleted", key, at_ms))
            del self._flights[key]

    def scores(self) -> list[Score]:
        """Compare: each announcement answers the latest fact of its flight and kind that it can be about."""
        return [self._score(kind) for kind in ("created", "departed", "arrived", "deleted")]

    def wrong(self, kind: str) -> tuple[list[Fact], list[Fact]]:
        """Return the missed facts and the false announcements."""
        missed, false, _ = self._match(kind)
        return missed, false

    def late(self, kind: str) -> list[Fact]:
        """Return the facts that were announced late."""
        return self._match(kind)[2]

    def delays_ms(self, kind: str) -> list[int]:
        """Return how long after it could be known each announcement came, by the snapshots' timestamps."""
        return self._delays.get(kind, [])

    def _score(self, kind: str) -> Score:
        missed, false, late = self._match(kind)
        true = sum(fact.kind == kind for fact in self.facts)
        detected = sum(fact.kind == kind for fact in self.announced)
        return Score(kind, true, detected, len(missed), len(false), len(late))

    def _is_true(self, told: Fact) -> bool:
        if told in self._premature:
            return False
        return _near(self._really.get((told.kind, told.key[0]), []), told.at_ms) is not None

    def _match(self, kind: str) -> tuple[list[Fact], list[Fact], list[Fact]]:
        open_facts = [fact for fact in self.facts if fact.kind == kind]
        by_key: dict[tuple[int, str], list[Fact]] = {}
        for fact in open_facts:
            by_key.setdefault(fact.key, []).append(fact)
        false: list[Fact] = []
        late: list[Fact] = []
        delays = self._delays[kind] = []
        for told in (fact for fact in self.announced if fact.kind == kind):
            facts = by_key.get(told.key, [])
            match = next((fact for fact in facts if -HIDDEN_MS <= told.at_ms - fact.at_ms <= TOLERANCE_MS), None)
            if match is None or told in self._premature:
                false += [] if self._is_true(told) else [told]
                continue
            facts.remove(match)
            delays.append(told.at_ms - match.at_ms)
            late += [match] if told.at_ms - match.at_ms > LATE_MS else []
        knowable_ms = self._last_ms - TOLERANCE_MS  # what happened later may have been announced after the end
        return [fact for facts in by_key.values() for fact in facts if fact.at_ms <= knowable_ms], false, late


def _near(times: list[int], at_ms: int) -> int | None:
    return next((time for time in times if abs(time - at_ms) <= HIDDEN_MS), None)


def troubles_of(facts: list[Fact], troubles: dict[tuple[int, str], str]) -> Counter[str]:
    """Count by the troubles of the flights concerned."""
    return Counter(troubles.get(fact.key, "?") for fact in facts)
