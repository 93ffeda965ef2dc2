"""Compares the network state with a snapshot: looks at each flight once and collects what happened to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256

from msgspec.structs import replace

from swim_server.detection.airfields import Airfields
from swim_server.detection.changes import goes_on, is_elsewhere, is_parked, plan_now
from swim_server.detection.event_builder import EventBuilder
from swim_server.detection.event_data import known_fields, plan_changes
from swim_server.detection.feed import FeedPilot, FeedPrefile, Snapshot
from swim_server.detection.ground_motion import SLOW_KTS
from swim_server.detection.ground_state import STILL_AIRBORNE, judge
from swim_server.detection.legs import after_departure, after_stop, arrival_of, with_plan
from swim_server.detection.motion import is_jump
from swim_server.detection.network_state import (
    AIRBORNE,
    GROUND,
    STATE_VERSION,
    Flight,
    GroundState,
    NetworkState,
    Plan,
    Report,
)
from swim_server.detection.phases import phase_at
from swim_server.detection.reading import is_same_plan, read_plan, read_report
from swim_server.detection.regions import Place, Regions
from swim_server.detection.report_clock import ReportClock
from swim_server.protocol.events import NewEvent

UID_BITS = 52
"""Below 2^53, so that JavaScript clients read it without rounding."""


def flight_key(cid: int, callsign: str) -> str:
    """Return the key under which a flight is remembered: member and callsign."""
    return f"{cid} {callsign}"


def flight_uid(cid: int, callsign: str, began: str | None) -> int:
    """Compute the flight's number from member, callsign and the time it began: logon or, for a prefile, its filing.

    The same input gives the same number on every machine; never 0.
    """
    digest = sha256(f"{cid}|{callsign}|{began or ''}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - UID_BITS) or 1


DELETED_AFTER_ABSENCES = 2
REMEMBER_GONE_MS = 3_600_000
"""How long a deleted flight is remembered: the feed sometimes loses connections that continue."""
MAX_GONE = 20_000
MANY_PREFILES = 20
"""This many prefiles don't vanish at once: a list that is suddenly empty was left out."""


class Comparison:
    """One comparison, used once for its events and its network state."""

    def __init__(
        self,
        network_state: NetworkState,
        snapshot: Snapshot,
        airfields: Airfields,
        regions: Regions,
        *,
        with_positions: bool,
    ) -> None:
        self._before = network_state
        self._snapshot = snapshot
        self._airfields = airfields
        self._with_positions = with_positions
        self._clock = ReportClock(snapshot.update_ms)
        self._prefiles = self._credible_prefiles()
        located = regions.around(_places(snapshot.pilots))
        self._builder = EventBuilder(
            f"{network_state.scope}{network_state.born_ms}", snapshot.update_ms, located, airfields
        )
        self._flights: dict[str, Flight] = {}
        self._gone = dict(network_state.gone)
        self._gone_ms = dict(network_state.gone_ms)
        self._compare()

    def events(self) -> list[NewEvent]:
        """Return what happened."""
        return self._builder.events()

    def network_state(self) -> NetworkState:
        """Return the network state after this snapshot."""
        before = self._before
        return NetworkState(
            version=STATE_VERSION,
            scope=before.scope,
            born_ms=before.born_ms,
            update_ms=self._snapshot.update_ms,
            flights=self._flights,
            gone=self._gone,
            gone_ms=self._gone_ms,
        )

    def _compare(self) -> None:
        pilots = self._pilots()
        prefiles = {flight_key(prefile.cid, prefile.callsign): prefile for prefile in self._prefiles or ()}
        for key, pilot in pilots.items():
            self._see_pilot(key, pilot, prefiles.get(key))
        for key, prefile in prefiles.items():
            if key not in pilots:
                self._see_prefile(key, prefile)
        known, seen = self._before.flights, self._flights
        for key in [key for key in known if key not in seen]:
            self._miss(key, known[key])
        self._forget_gone()

    def _pilots(self) -> dict[str, FeedPilot]:
        """Return the pilots by key. Of one that is listed twice, the newer report counts."""
        listed = self._snapshot.pilots
        pilots = {f"{pilot.cid} {pilot.callsign}": pilot for pilot in listed}  # as flight_key makes them
        if len(pilots) < len(listed):
            oldest_first = sorted(listed, key=lambda pilot: pilot.last_updated or "")
            pilots = {flight_key(pilot.cid, pilot.callsign): pilot for pilot in oldest_first}
        return pilots

    def _credible_prefiles(self) -> list[FeedPrefile] | None:
        """Return the prefiles, or None if the snapshot's list is not credible."""
        if self._snapshot.prefiles:
            return self._snapshot.prefiles
        known = sum(not flight.is_connected for flight in self._before.flights.values())
        return None if known >= MANY_PREFILES else self._snapshot.prefiles

    def _see_pilot(self, key: str, pilot: FeedPilot, prefile: FeedPrefile | None) -> None:
        flight = self._before.flights.get(key)
        sent_plan = pilot.flight_plan
        if sent_plan is None and prefile is not None:
            sent_plan = prefile.flight_plan
        if flight is None:
            self._create(key, self._begin(key, pilot, read_plan(sent_plan)), self._clock.read(pilot.last_updated))
            return
        if goes_on(flight, pilot, sent_plan):
            if pilot.last_updated is not None and pilot.last_updated != flight.reported:  # so it is with nearly all
                self._flights[key] = self._move(flight, pilot, self._clock.read(pilot.last_updated))
                return
            followed = self._follow(flight, pilot)
            self._flights[key] = self._announce(flight) if followed is flight else followed
            return
        plan, plan_absences = plan_now(flight, sent_plan)
        seen = replace(
            flight, plan=plan, plan_absences=plan_absences, is_connected=True, logon=pilot.logon_time, absences=0
        )
        seen = self._follow(with_plan(flight, seen, self._airfields), pilot)
        self._flights[key] = self._announce(self._update(flight, seen, self._clock.read(pilot.last_updated)))

    def _follow(self, flight: Flight, pilot: FeedPilot) -> Flight:
        """Process the report if it is new: by its time or, if that stands still, by its position."""
        if pilot.last_updated is None or pilot.last_updated != flight.reported:
            return self._move(flight, pilot, self._clock.read(pilot.last_updated))
        report = flight.report
        if report is None or (pilot.latitude == report.latitude and pilot.longitude == report.longitude):
            return flight
        return self._move(flight, pilot, self._snapshot.update_ms)

    def _begin(self, key: str, pilot: FeedPilot, plan: Plan) -> Flight:
        """Return the flight of a newly seen pilot; if the same connection was seen before, its previous flight."""
        at_ms = self._clock.read(pilot.last_updated)
        gone = self._gone.get(key)
        if gone is not None and gone.logon is not None and gone.logon == pilot.logon_time:
            back = replace(
                gone, plan=plan, plan_absences=0, is_connected=True, absences=0, incarnation=gone.incarnation + 1
            )
            return self._move(back, pilot, at_ms)
        began = pilot.logon_time or pilot.last_updated
        flight = Flight(
            uid=flight_uid(pilot.cid, pilot.callsign, began),
            cid=pilot.cid,
            callsign=pilot.callsign,
            plan=plan,
            is_connected=True,
            logon=pilot.logon_time,
        )
        return self._move(flight, pilot, at_ms)

    def _move(self, flight: Flight, pilot: FeedPilot, at_ms: int) -> Flight:
        """Process a new report. One that is older than the last is ignored."""
        before = flight.report
        if before is not None and at_ms < before.at_ms:
            return self._announce(replace(flight, reported=pilot.last_updated))
        report = read_report(pilot, at_ms, before)
        if report is None:
            return self._announce(replace(flight, reported=pilot.last_updated))
        if before is not None:
            if flight.ground_state is GROUND and is_parked(flight, before, report):
                return replace(flight, reported=pilot.last_updated, report=report)
            if is_jump(before, report):
                before, report = None, replace(report, vertical_rate_fpm=None)
            elif flight.ground_state is AIRBORNE and (report.groundspeed_kts or 0) > SLOW_KTS:
                return self._fly_on(flight, pilot, report)
        judged = judge(flight.ground_state, flight.ground_ft, before, report, flight.plan, self._airfields)
        if judged is STILL_AIRBORNE and flight.ground_state is AIRBORNE:
            return self._fly_on(flight, pilot, report)
        departs, state = judged.departed_ms is not None, judged.ground_state
        arrives = judged.landed_ms is not None and flight.plan.arr is not None  # else it has no destination
        is_down = state is GROUND and (arrives or (flight.arrivals > 0 and flight.has_arrived))
        announced = flight.announced if is_down else self._announced(flight, report, state, has_arrived=False)
        moved = replace(
            flight,
            reported=pilot.last_updated,
            report=report,
            announced=announced,
            ground_state=state,
            ground_ft=judged.ground_ft,
            departures=flight.departures + departs,
            arrivals=flight.arrivals + arrives,
        )
        if is_down:
            moved = self._announce(after_stop(moved, self._airfields))
        if judged.departed_ms is not None:
            moved = after_departure(moved)
            self._builder.departed(moved, judged.departed_ms)
        if judged.landed_ms is not None and arrives:
            self._builder.arrived(moved, judged.landed_ms, arrival_of(moved, report, self._airfields))
        return moved

    def _fly_on(self, flight: Flight, pilot: FeedPilot, report: Report) -> Flight:
        """Process the report of a flight that remains airborne, as most moving ones do."""
        announced = self._announced(flight, report, AIRBORNE, has_arrived=False)
        return replace(flight, reported=pilot.last_updated, report=report, announced=announced, ground_ft=None)

    def _see_prefile(self, key: str, prefile: FeedPrefile) -> None:
        flight = self._before.flights.get(key)
        if flight is None:
            self._create(key, self._begin_filed(key, prefile), self._clock.read(prefile.last_updated))
            return
        sent = prefile.flight_plan
        plan = flight.plan if sent is not None and is_same_plan(sent, flight.plan) else read_plan(sent)
        if not flight.is_connected and not flight.absences and plan == flight.plan:
            self._flights[key] = flight
            return
        seen = replace(flight, plan=plan, plan_absences=0, is_connected=False, absences=0)
        self._flights[key] = self._update(flight, seen, self._clock.read(prefile.last_updated))

    def _begin_filed(self, key: str, prefile: FeedPrefile) -> Flight:
        """Return the flight of a newly seen prefile; if the same filing was seen before, its previous flight."""
        uid = flight_uid(prefile.cid, prefile.callsign, prefile.last_updated)
        plan = read_plan(prefile.flight_plan)
        gone = self._gone.get(key)
        if gone is None or gone.uid != uid:
            return Flight(uid=uid, cid=prefile.cid, callsign=prefile.callsign, plan=plan)
        return replace(gone, plan=plan, is_connected=False, absences=0, incarnation=gone.incarnation + 1)

    def _miss(self, key: str, flight: Flight) -> None:
        if not flight.is_connected and self._prefiles is None:
            self._flights[key] = flight
            return
        absences = flight.absences + 1
        missed = replace(flight, absences=absences)
        if absences < DELETED_AFTER_ABSENCES:
            self._flights[key] = missed
            return
        self._builder.deleted(flight)
        self._gone[key] = missed
        self._gone_ms[key] = self._snapshot.update_ms

    def _forget_gone(self) -> None:
        oldest_ms = self._snapshot.update_ms - REMEMBER_GONE_MS
        too_many = max(0, len(self._gone) - MAX_GONE)
        for number, (key, gone_ms) in enumerate(list(self._gone_ms.items())):
            if gone_ms < oldest_ms or number < too_many or key in self._flights:
                del self._gone[key], self._gone_ms[key]

    def _create(self, key: str, flight: Flight, at_ms: int) -> None:
        self._builder.created(flight, at_ms)
        self._flights[key] = self._announce(flight)

    def _update(self, before: Flight, now: Flight, at_ms: int) -> Flight:
        changed = [] if now.plan is before.plan else plan_changes(before.plan, now.plan)
        if before.report is None and now.report is not None:
            changed += known_fields(now.report)
        if not changed:
            return now
        now = replace(now, updates=now.updates + 1)
        self._builder.updated(now, at_ms, changed)
        return now

    def _announce(self, flight: Flight) -> Flight:
        """Collect the position of a flight without news, if an earlier one was held back."""
        report = flight.report
        if report is None or report is flight.announced:
            return flight
        announced = self._announced(flight, report, flight.ground_state, has_arrived=flight.has_arrived)
        return flight if announced is flight.announced else replace(flight, announced=announced)

    def _announced(
        self, flight: Flight, report: Report, ground_state: GroundState, *, has_arrived: bool
    ) -> Report | None:
        """Collect a position if it differs from the last published one; return what is now the last published one."""
        before = flight.announced
        if not self._with_positions:
            return before
        if before is not None and before.latitude == report.latitude and not is_elsewhere(before, report):
            return before
        phase = phase_at(report, ground_state, flight.plan, self._airfields, has_arrived=has_arrived)
        self._builder.position(flight, report, phase)
        return report


def _places(pilots: Sequence[FeedPilot]) -> Iterator[Place]:
    for pilot in pilots:
        if pilot.latitude is not None and pilot.longitude is not None:
            yield pilot.latitude, pilot.longitude
