"""Detection: the network state and the next snapshot in, events and the next network state out. A pure function."""

from __future__ import annotations

from typing import Literal

import msgspec

from swim_server.detection.airfields import Airfields
from swim_server.detection.comparison import Comparison, flight_key
from swim_server.detection.feed import Snapshot
from swim_server.detection.network_state import NetworkState
from swim_server.detection.regions import NoRegions, Regions
from swim_server.protocol.events import NewEvent

Skipped = Literal["repeated", "out of order", "truncated"]

MAX_GAP_MS = 3_600_000
"""After a longer gap the next snapshot resets the network state: too much happened unseen."""

MANY_FLIGHTS = 20
NEARLY_EMPTY = 0.2
"""If fewer than this share of many connected flights is left in one step, the list was cut off."""
MAX_TRUNCATED = 3
"""After this many nearly empty snapshots in a row the network is really empty. The next one is believed."""
MAX_OUT_OF_ORDER = 20
"""After this many older snapshots in a row, each newer than the one before, the network state's time was wrong."""


class Detection(msgspec.Struct, frozen=True):
    """The result of one snapshot."""

    events: list[NewEvent]
    """In this order: created, updated, departed and arrived by time, deleted, positions."""
    network_state: NetworkState
    """For the next call. Unchanged flights are the same objects as before."""
    skipped: Skipped | None = None
    """Why the snapshot was not used."""


def detect(
    network_state: NetworkState,
    snapshot: Snapshot,
    airfields: Airfields,
    *,
    regions: Regions | None = None,
    with_positions: bool = True,
) -> Detection:
    """Compare a snapshot with the network state. Changes none of its arguments; the same input, the same output.

    The first snapshot, or one after an hour's gap, sets the network state and announces nothing. Event ids are made
    from the state's scope, the flight and the count of what it did, not from the snapshot: a source that publishes,
    dies before it saves the state, and detects again, even from a later snapshot, gives the same event the same id.
    ``with_positions=False`` holds positions back until a call that has them.
    """
    skipped = _reason_to_skip(network_state, snapshot)
    if skipped is not None:
        return Detection([], _refuse(network_state, snapshot, skipped), skipped)
    if network_state.update_ms is None or not 0 < snapshot.update_ms - network_state.update_ms <= MAX_GAP_MS:
        return Detection([], _begin_anew(network_state, snapshot, airfields))
    comparison = Comparison(network_state, snapshot, airfields, regions or NoRegions(), with_positions=with_positions)
    return Detection(comparison.events(), comparison.network_state())


def _reason_to_skip(network_state: NetworkState, snapshot: Snapshot) -> Skipped | None:
    if network_state.update_ms is None:
        return None
    if snapshot.update_ms == network_state.update_ms:
        return "repeated"
    if snapshot.update_ms < network_state.update_ms:
        is_wrong = network_state.refused >= MAX_OUT_OF_ORDER and snapshot.update_ms > (network_state.refused_ms or 0)
        return None if is_wrong else "out of order"
    if len(snapshot.pilots) >= NEARLY_EMPTY * len(network_state.flights):
        return None  # the common case: no fewer than all known ones
    connected = sum(flight.is_connected and not flight.absences for flight in network_state.flights.values())
    is_nearly_empty = connected >= MANY_FLIGHTS and len(snapshot.pilots) < NEARLY_EMPTY * connected
    return "truncated" if is_nearly_empty and network_state.refused < MAX_TRUNCATED else None


def _refuse(network_state: NetworkState, snapshot: Snapshot, skipped: Skipped) -> NetworkState:
    """Count consecutive refused snapshots: a reason that persists is not accepted without limit."""
    if skipped == "repeated" or snapshot.update_ms == network_state.refused_ms:
        return network_state
    goes_on = network_state.refused_ms is not None and snapshot.update_ms > network_state.refused_ms
    return msgspec.structs.replace(
        network_state, refused=network_state.refused + 1 if goes_on else 1, refused_ms=snapshot.update_ms
    )


def _begin_anew(network_state: NetworkState, snapshot: Snapshot, airfields: Airfields) -> NetworkState:
    """Reset the state under the given scope. Connections that continue keep their numbers."""
    logons = {flight_key(pilot.cid, pilot.callsign): pilot.logon_time for pilot in snapshot.pilots}
    known = {
        key: flight for key, flight in network_state.flights.items() if logons.get(key, flight.logon) == flight.logon
    }
    begun = NetworkState(scope=network_state.scope, born_ms=snapshot.update_ms, flights=known)
    compared = Comparison(begun, snapshot, airfields, NoRegions(), with_positions=True).network_state()
    present = {key: flight for key, flight in compared.flights.items() if flight.absences == 0}
    return msgspec.structs.replace(compared, flights=present)
