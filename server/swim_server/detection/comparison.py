"""One comparison of the stage with a snapshot: each flight is looked at once, and what happened to it is collected."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2s
from typing import Any

import msgspec

from swim_server.detection.airfields import Airfields
from swim_server.detection.event_data import flight_data, known_fields, moment_data, plan_changes, position_data
from swim_server.detection.feed import FeedPilot, FeedPlan, FeedPrefile, Snapshot
from swim_server.detection.footing import Judgement, judge
from swim_server.detection.identity import flight_key, flight_uid
from swim_server.detection.motion import is_jump, with_vertical_rate
from swim_server.detection.reading import is_same_plan, read_plan, read_report
from swim_server.detection.regions import Regions
from swim_server.detection.report_clock import ReportClock
from swim_server.detection.stage import NO_PLAN, STAGE_VERSION, Flight, Plan, Report, Stage
from swim_server.protocol.events import NewEvent

DELETED_AFTER_ABSENCES = 2
REMEMBER_GONE_MS = 3_600_000
"""A deleted flight is remembered this long: the feed sometimes loses a connection that goes on."""
MAX_GONE = 20_000
MANY_PREFILES = 20
"""So many prefiles don't vanish in one step: a list that is suddenly empty was left out."""


class Comparison:
    """Compares once. Made, asked for its events and its stage, and thrown away."""

    def __init__(
        self, stage: Stage, snapshot: Snapshot, airfields: Airfields, regions: Regions, *, with_positions: bool
    ) -> None:
        self._before = stage
        self._snapshot = snapshot
        self._airfields = airfields
        self._regions = regions
        self._with_positions = with_positions
        self._clock = ReportClock(snapshot.update_ms)
        self._prefiles = self._credible_prefiles()
        self._flights: dict[str, Flight] = {}
        self._gone = dict(stage.gone)
        self._gone_ms = dict(stage.gone_ms)
        self._created: list[NewEvent] = []
        self._updated: list[NewEvent] = []
        self._moved: list[NewEvent] = []
        """Departures and arrivals."""
        self._deleted: list[NewEvent] = []
        self._positions: list[dict[str, Any]] = []
        self._compare()

    def events(self) -> list[NewEvent]:
        """Tell what happened."""
        moved = sorted(self._moved, key=lambda event: event.timestamp_ms or 0)
        events = [*self._created, *self._updated, *moved, *self._deleted]
        if self._positions:
            data = {"count": len(self._positions), "positions": self._positions}
            name = self._name("flight.positions", self._snapshot.update_ms)
            events.append(
                NewEvent(type="flight.positions", data=data, timestamp_ms=self._snapshot.update_ms, event_id=name)
            )
        return events

    def stage(self) -> Stage:
        """Give the stage as it is after this snapshot."""
        before = self._before
        return Stage(
            version=STAGE_VERSION,
            scope=before.scope,
            born_ms=before.born_ms,
            update_ms=self._snapshot.update_ms,
            flights=self._flights,
            gone=self._gone,
            gone_ms=self._gone_ms,
        )

    def _compare(self) -> None:
        pilots = {flight_key(pilot.cid, pilot.callsign): pilot for pilot in self._oldest_first()}
        prefiles = {flight_key(prefile.cid, prefile.callsign): prefile for prefile in self._prefiles or ()}
        for key, pilot in pilots.items():
            self._see_pilot(key, pilot, prefiles.get(key))
        for key, prefile in prefiles.items():
            if key not in pilots:
                self._see_prefile(key, prefile)
        for key, flight in self._before.flights.items():
            if key not in self._flights:
                self._miss(key, flight)
        self._forget_gone()

    def _oldest_first(self) -> Sequence[FeedPilot]:
        """A pilot that is listed twice counts with its newer report, which is why it has to come last."""
        pilots = self._snapshot.pilots
        if len({(pilot.cid, pilot.callsign) for pilot in pilots}) == len(pilots):
            return pilots
        return sorted(pilots, key=lambda pilot: pilot.last_updated or "")

    def _credible_prefiles(self) -> list[FeedPrefile] | None:
        """The prefiles, or None where the snapshot tells nothing about them that can be believed."""
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
        plan, plan_absences = _plan_now(flight, sent_plan)
        is_news = pilot.last_updated is None or pilot.last_updated != flight.reported or not flight.is_connected
        if not is_news and plan == flight.plan and plan_absences == flight.plan_absences and not flight.absences:
            self._flights[key] = self._announce(flight)
            return
        at_ms = self._clock.read(pilot.last_updated)
        seen = msgspec.structs.replace(
            flight, plan=plan, plan_absences=plan_absences, is_connected=True, logon=pilot.logon_time, absences=0
        )
        seen = self._move(seen, pilot, at_ms) if is_news else seen
        self._flights[key] = self._announce(self._update(flight, seen, at_ms))

    def _begin(self, key: str, pilot: FeedPilot, plan: Plan) -> Flight:
        """Give a pilot that is seen first its flight; the same connection seen again, the flight that it had."""
        gone = self._gone.get(key)
        if gone is not None and gone.logon is not None and gone.logon == pilot.logon_time:
            back = msgspec.structs.replace(
                gone, plan=plan, plan_absences=0, is_connected=True, absences=0, incarnation=gone.incarnation + 1
            )
            return self._move(back, pilot, self._clock.read(pilot.last_updated))
        at_ms = self._clock.read(pilot.last_updated)
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
        """Take a new report into account. One that is older than the last is none."""
        before = flight.report
        is_late = before is not None and at_ms < before.at_ms and pilot.logon_time == flight.logon
        report = None if is_late else read_report(pilot, at_ms)
        if report is None:
            return msgspec.structs.replace(flight, reported=pilot.last_updated)
        if before is not None and is_jump(before, report):
            before = None
        if before is not None:
            report = with_vertical_rate(before, report)
        judged = judge(flight.footing, flight.ground_ft, before, report, flight.plan, self._airfields)
        moved = msgspec.structs.replace(
            flight,
            reported=pilot.last_updated,
            report=report,
            footing=judged.footing,
            ground_ft=judged.ground_ft,
            departures=flight.departures + (judged.departed_ms is not None),
            arrivals=flight.arrivals + (judged.arrived_ms is not None),
        )
        self._tell_moved(moved, judged)
        return moved

    def _tell_moved(self, flight: Flight, judged: Judgement) -> None:
        if judged.departed_ms is not None:
            data = moment_data(flight, self._regions, off_utc=judged.departed_ms)
            self._moved.append(self._event("flight.departed", flight, judged.departed_ms, flight.departures, data))
        if judged.arrived_ms is not None:
            data = moment_data(flight, self._regions, in_utc=judged.arrived_ms)
            self._moved.append(self._event("flight.arrived", flight, judged.arrived_ms, flight.arrivals, data))

    def _see_prefile(self, key: str, prefile: FeedPrefile) -> None:
        flight = self._before.flights.get(key)
        plan = read_plan(prefile.flight_plan)
        at_ms = self._clock.read(prefile.last_updated)
        if flight is None:
            uid = flight_uid(prefile.cid, prefile.callsign, prefile.last_updated)
            begun = Flight(uid=uid, cid=prefile.cid, callsign=prefile.callsign, plan=plan)
            gone = self._gone.get(key)
            if gone is not None and gone.uid == uid:
                begun = msgspec.structs.replace(
                    gone, plan=plan, is_connected=False, absences=0, incarnation=gone.incarnation + 1
                )
            self._create(key, begun, at_ms)
            return
        if not flight.is_connected and not flight.absences and plan == flight.plan:
            self._flights[key] = flight
            return
        seen = msgspec.structs.replace(flight, plan=plan, plan_absences=0, is_connected=False, absences=0)
        self._flights[key] = self._update(flight, seen, at_ms)

    def _miss(self, key: str, flight: Flight) -> None:
        if not flight.is_connected and self._prefiles is None:
            self._flights[key] = flight
            return
        absences = flight.absences + 1
        missed = msgspec.structs.replace(flight, absences=absences)
        if absences < DELETED_AFTER_ABSENCES:
            self._flights[key] = missed
            return
        data = moment_data(flight, self._regions)
        now_ms = self._snapshot.update_ms
        self._deleted.append(self._event("flight.deleted", flight, now_ms, flight.incarnation, data))
        self._gone[key] = missed
        self._gone_ms[key] = now_ms

    def _forget_gone(self) -> None:
        oldest_ms = self._snapshot.update_ms - REMEMBER_GONE_MS
        too_many = max(0, len(self._gone) - MAX_GONE)
        for number, (key, gone_ms) in enumerate(list(self._gone_ms.items())):
            if gone_ms < oldest_ms or number < too_many or key in self._flights:
                del self._gone[key], self._gone_ms[key]

    def _create(self, key: str, flight: Flight, at_ms: int) -> None:
        data = flight_data(flight, self._regions)
        self._created.append(self._event("flight.created", flight, at_ms, flight.incarnation, data))
        self._flights[key] = self._announce(flight)

    def _update(self, before: Flight, now: Flight, at_ms: int) -> Flight:
        changed = [] if now.plan is before.plan else plan_changes(before.plan, now.plan)
        if before.report is None and now.report is not None:
            changed += known_fields(now.report)
        if not changed:
            return now
        now = msgspec.structs.replace(now, updates=now.updates + 1)
        data = {**flight_data(now, self._regions), "changed": changed}
        said = blake2s(msgspec.json.encode([changed, now.plan]), digest_size=4).hexdigest()
        event = self._event("flight.updated", now, at_ms, f"{now.updates}:{said}", data)
        self._updated.append(event)
        return now

    def _announce(self, flight: Flight) -> Flight:
        """Collect the flight's position where it differs from the one that was published last."""
        report = flight.report
        if not self._with_positions or report is None or report is flight.announced:
            return flight
        if not _is_elsewhere(flight.announced, report):
            return flight
        self._positions.append(position_data(flight, report, self._regions))
        return msgspec.structs.replace(flight, announced=report)

    def _event(self, type: str, flight: Flight, at_ms: int, count: int | str, data: dict[str, Any]) -> NewEvent:
        return NewEvent(type=type, data=data, timestamp_ms=at_ms, event_id=self._name(type, f"{flight.uid}:{count}"))

    def _name(self, type: str, what: int | str) -> str:
        return f"{self._before.scope}{self._before.born_ms}:{type}:{what}"


def _plan_now(flight: Flight, sent: FeedPlan | None) -> tuple[Plan, int]:
    """A plan that is missing from one snapshot is kept; missing from two in a row, it was withdrawn."""
    if sent is not None and is_same_plan(sent, flight.plan):
        return flight.plan, 0
    plan = read_plan(sent)
    if plan != NO_PLAN or flight.plan == NO_PLAN or flight.plan_absences:
        return plan, 0
    return flight.plan, 1


def _is_elsewhere(announced: Report | None, report: Report) -> bool:
    return (
        announced is None
        or announced.latitude != report.latitude
        or announced.longitude != report.longitude
        or announced.altitude_ft != report.altitude_ft
        or announced.groundspeed_kts != report.groundspeed_kts
        or announced.heading_deg != report.heading_deg
    )
