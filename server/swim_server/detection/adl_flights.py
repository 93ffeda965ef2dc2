"""Compares flights of the ADL tables with the remembered ones. Pure.

A reading holds every active flight, and inactive ones that were seen, departed or arrived recently. What the writer
commits late, or with a time in the past, is still news: what was announced is remembered, not inferred.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2s
from typing import Any

import msgspec

from swim_server.detection.adl_rows import Fix, FlightRow
from swim_server.detection.adl_state import OVERLAP_MS, AdlFlight, AdlReading, AdlState
from swim_server.detection.airfields import Airfields
from swim_server.detection.event_data import PLAN_FIELDS, POSITION_FIELDS
from swim_server.detection.ground_motion import SLOW_KTS
from swim_server.detection.legs import arrival_at
from swim_server.detection.network_state import NO_PLAN, Plan
from swim_server.detection.phases import ARRIVED, phase_in_air, phase_on_ground
from swim_server.protocol.events import NewEvent
from swim_server.protocol.json_data import JsonObject
from swim_server.protocol.positions import POSITIONS
from swim_server.protocol.timestamps import format_ms

MAX_GAP_MS = 86_400_000
"""After a longer gap the next reading resets the state."""
REMEMBER_GONE_MS = 3 * OVERLAP_MS
MAX_GONE = 50_000
LATE_MS = 60_000
"""A flight that appeared and ended unseen is new if it was first seen at most this long before the last reading."""


NO_AIRFIELDS = Airfields(())
"""The tables contain take-offs and landings. Only the airport of an arrival is not in them."""

LoadAirfields = Callable[[], Airfields]


def compare_flights(
    state: AdlState,
    reading: AdlReading,
    *,
    with_positions: bool = True,
    airfields: LoadAirfields = lambda: NO_AIRFIELDS,
) -> tuple[list[NewEvent], AdlState]:
    """Compare a reading with the state. The first one, or one after a day's gap, only sets the state.

    The same input gives the same output. Event ids are made from the flight and what it did: what is found again,
    because the state was not saved in time, has the same id. ``airfields`` is called only if a flight has arrived.
    """
    comparison = _Comparison(state, reading, airfields, with_positions=with_positions)
    return comparison.events(), comparison.state()


class _Comparison:
    """One comparison."""

    def __init__(self, state: AdlState, reading: AdlReading, airfields: LoadAirfields, *, with_positions: bool) -> None:
        self._before = state
        self._airfields = airfields
        self._reading = reading
        self._with_positions = with_positions
        newest = reading.writer_ms()
        self._writer_ms = state.writer_ms if newest is None else max(newest, state.writer_ms or newest)
        gap = None if self._writer_ms is None or state.writer_ms is None else self._writer_ms - state.writer_ms
        self._is_first = not state.has_begun or (gap is not None and gap > MAX_GAP_MS)
        self._recent_ms = (state.writer_ms or self._writer_ms or 0) - OVERLAP_MS
        self._flights: dict[int, AdlFlight] = {}
        self._created: list[NewEvent] = []
        self._updated: list[NewEvent] = []
        self._moved: list[NewEvent] = []
        self._deleted: list[NewEvent] = []
        self._positions: list[JsonObject] = []
        for row in reading.rows:
            self._see(row)
        self._miss_others()

    def events(self) -> list[NewEvent]:
        """Return created, updated, departed and arrived by time, deleted, and one batch of positions."""
        if self._is_first:
            return []
        moved = sorted(self._moved, key=lambda event: event.timestamp_ms or 0)
        events = [*self._created, *self._updated, *moved, *self._deleted]
        if self._positions:
            data = {"count": len(self._positions), "positions": self._positions}
            digest = blake2s(msgspec.json.encode(self._positions), digest_size=8).hexdigest()
            events.append(self._event(POSITIONS, f"{self._writer_ms}:{digest}", data, self._writer_ms))
        return events

    def state(self) -> AdlState:
        gone = [uid for uid, flight in self._flights.items() if not flight.is_active]
        for uid in gone[: max(0, len(gone) - MAX_GONE)]:
            del self._flights[uid]
        scope = self._before.scope
        return AdlState(scope=scope, has_begun=True, writer_ms=self._writer_ms, flights=self._flights)

    def _see(self, row: FlightRow) -> None:
        before = None if self._is_first else self._before.flights.get(row.uid)
        now = self._begin(row) if before is None else self._go_on(before, row)
        now = self._follow_times(row, now)
        if not row.is_active and now.is_active:
            now = msgspec.structs.replace(now, is_active=False, gone_ms=self._writer_ms)
            self._note(self._deleted, "flight.deleted", row.uid, now, str(now.incarnation), None)
        self._flights[row.uid] = now

    def _begin(self, row: FlightRow) -> AdlFlight:
        """Begin a flight that is not remembered: new, or gone before it was seen."""
        came_unseen = row.first_seen_ms is not None and row.first_seen_ms >= (self._before.writer_ms or 0) - LATE_MS
        is_news = row.is_active or came_unseen
        flight = AdlFlight(
            callsign=row.callsign,
            is_active=is_news,
            plan=row.plan,
            fix=row.fix,
            artcc=row.artcc,
            is_off=self._was_before(row.off_ms) if self._reading.knows_off else None,
            is_in=self._was_before(row.in_ms) if self._reading.knows_in else None,
            gone_ms=None if is_news else self._writer_ms,
        )
        if is_news:
            self._note(self._created, "flight.created", row.uid, flight, "0", row.first_seen_ms, with_plan=True)
            self._announce(row.uid, flight, None)
        return flight

    def _was_before(self, moment: int | None) -> bool:
        """Tell whether a time of a newly seen flight is no news: the state is being set, or the time is long past."""
        return moment is not None and (self._is_first or moment < self._recent_ms)

    def _go_on(self, before: AdlFlight, row: FlightRow) -> AdlFlight:
        """Compare a flight that was seen before."""
        if not row.is_active and not before.is_active:
            return before
        plan, plan_absences = _plan_now(before, row.plan)
        now = msgspec.structs.replace(
            before,
            callsign=row.callsign,
            plan=plan,
            plan_absences=plan_absences,
            fix=row.fix or before.fix,
            artcc=row.artcc or before.artcc,
        )
        if not before.is_active:
            number = before.incarnation + 1
            now = msgspec.structs.replace(now, is_active=True, gone_ms=None, incarnation=number)
            self._note(self._created, "flight.created", row.uid, now, str(number), None, with_plan=True)
        else:
            now = self._follow_plan(row.uid, before, now)
        self._announce(row.uid, now, before.fix)
        return now

    def _follow_plan(self, uid: int, before: AdlFlight, now: AdlFlight) -> AdlFlight:
        changed = [name for name in PLAN_FIELDS if getattr(before.plan, name) != getattr(now.plan, name)]
        if before.callsign != now.callsign:
            changed.insert(0, "callsign")
        if before.fix is None and now.fix is not None:
            changed += [name for name in POSITION_FIELDS if getattr(now.fix, name) is not None]
        if not changed:
            return now
        now = msgspec.structs.replace(now, updates=now.updates + 1)
        said = blake2s(msgspec.json.encode([changed, now.callsign, now.plan]), digest_size=4).hexdigest()
        self._note(
            self._updated, "flight.updated", uid, now, f"{now.updates}:{said}", None, with_plan=True, changed=changed
        )
        return now

    def _follow_times(self, row: FlightRow, now: AdlFlight) -> AdlFlight:
        """Announce take-off and arrival, each once. Later changes of their times are no news."""
        if self._reading.knows_off:
            is_news = row.off_ms is not None and self._is_news(now.is_off, row.off_ms)
            now = now if now.is_off else msgspec.structs.replace(now, is_off=row.off_ms is not None)
            if is_news and row.off_ms is not None:
                off = format_ms(row.off_ms)
                self._note(self._moved, "flight.departed", row.uid, now, "", row.off_ms, off_utc=off)
        if self._reading.knows_in:
            is_news = row.in_ms is not None and self._is_news(now.is_in, row.in_ms)
            now = now if now.is_in else msgspec.structs.replace(now, is_in=row.in_ms is not None)
            if is_news and row.in_ms is not None:
                where = {} if self._is_first else _arrival(now, self._airfields)
                moment = format_ms(row.in_ms)
                self._note(self._moved, "flight.arrived", row.uid, now, "", row.in_ms, in_utc=moment, **where)
        return now

    def _is_news(self, was_announced: bool | None, moment: int) -> bool:
        return not was_announced and (was_announced is False or moment >= self._recent_ms)

    def _miss_others(self) -> None:
        """Handle remembered flights without a row in this reading."""
        if self._is_first:
            return
        for uid, before in self._before.flights.items():
            if uid in self._flights:
                continue
            if before.is_active:
                now = msgspec.structs.replace(before, is_active=False, gone_ms=self._writer_ms)
                self._note(self._deleted, "flight.deleted", uid, now, str(now.incarnation), None)
                self._flights[uid] = now
            elif (self._writer_ms or 0) - (before.gone_ms or 0) <= REMEMBER_GONE_MS:
                self._flights[uid] = before

    def _announce(self, uid: int, now: AdlFlight, before: Fix | None) -> None:
        """Collect the flight's position if it differs from the previous one."""
        if self._with_positions and now.fix is not None and now.fix != before:
            self._positions.append(
                {
                    "callsign": now.callsign,
                    "flight_uid": uid,
                    **msgspec.structs.asdict(now.fix),
                    "current_artcc": now.artcc,
                    "current_fir": None,
                    "dep": now.plan.dep,
                    "arr": now.plan.arr,
                    "phase": _phase(now),
                }
            )

    def _note(
        self,
        events: list[NewEvent],
        type: str,
        uid: int,
        flight: AdlFlight,
        name: str,
        at_ms: int | None,
        *,
        with_plan: bool = False,
        **more: Any,
    ) -> None:
        if self._is_first:
            return
        plan = {"equipment": flight.plan.equipment, "route": flight.plan.route} if with_plan else {}
        data = {
            "callsign": flight.callsign,
            "flight_uid": uid,
            "dep": flight.plan.dep,
            "arr": flight.plan.arr,
            **plan,
            **{field: None if flight.fix is None else getattr(flight.fix, field) for field in POSITION_FIELDS},
            "current_artcc": flight.artcc,
            "current_fir": None,
            "phase": _phase(flight),
            **more,
        }
        events.append(self._event(type, f"{uid}:{name}", data, at_ms))

    def _event(self, type: str, name: str, data: JsonObject, at_ms: int | None) -> NewEvent:
        return NewEvent(type=type, data=data, timestamp_ms=at_ms, event_id=f"{self._before.scope}{type}:{name}")


def _phase(flight: AdlFlight) -> str | None:
    """Return the phase according to the tables: by take-off, arrival and climb; None if they have no take-off."""
    fix = flight.fix
    if flight.is_in:
        return ARRIVED
    if flight.is_off and fix is not None:
        return phase_in_air(
            fix.latitude, fix.longitude, fix.altitude_ft, fix.vertical_rate_fpm or 0, flight.plan, NO_AIRFIELDS
        )
    if flight.is_off is False or fix is None:
        return phase_on_ground(None if fix is None else fix.groundspeed_kts, has_arrived=False)
    return None


def _arrival(flight: AdlFlight, load: LoadAirfields) -> JsonObject:
    """Return where a flight has arrived, by its position, as the tables don't say. Null if it is not seen there."""
    fix = flight.fix
    if fix is None or fix.groundspeed_kts is None or fix.groundspeed_kts > SLOW_KTS:
        return {"arrived_at": None, "diverted": None}
    place, took_off = (fix.latitude, fix.longitude), bool(flight.is_off)
    arrival = arrival_at(place, flight.plan, load(), bound_for=flight.plan.arr, took_off=took_off)
    return {"arrived_at": arrival.field, "diverted": arrival.is_diverted}


def _plan_now(before: AdlFlight, plan: Plan) -> tuple[Plan, int]:
    """Keep a plan that is missing from one reading; missing from two in a row, it was withdrawn."""
    if plan is before.plan or plan == before.plan:
        return plan, 0
    if plan != NO_PLAN or before.plan_absences:
        return plan, 0
    return before.plan, 1
