"""What a subscription would have received, and what excluded the rest."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.any_filters import events, subscriptions
from support.streaming_rig import StreamingRig, flight, positions
from swim_server.protocol.channels import matches
from swim_server.protocol.events import NewEvent
from swim_server.protocol.filters import EMPTY, merge
from swim_server.streaming.explain.tally import Tally
from swim_server.streaming.subscription import Subscription, sift


def counted(subscription: Subscription, *new: NewEvent) -> Tally:
    rig, tally = StreamingRig(), Tally(subscription)
    for event in new:
        tally.add(rig.broker.store(event))
    return tally


def wanting(*channels: str, **filters: Any) -> Subscription:
    return Subscription(frozenset(channels), merge(EMPTY, filters))


def test_first_clause_that_stops_an_event_is_counted() -> None:
    tally = counted(
        wanting("flight.*", callsign_prefix=["DAL"], airports=["KJFK"]),
        flight("DAL1", dep="KJFK"),
        flight("DAL2", dep="EGLL"),
        flight("BAW1", dep="KJFK"),
        flight("BAW2", dep="EGLL"),
        NewEvent(type="tmi.issued", data={}),
    )
    document = tally.document()
    assert (document["looked_at"], document["passed"], document["not_subscribed"]) == (5, 1, {"tmi.issued": 1})
    assert [(one["kind"], one["stopped"], one["alone"]) for one in document["clauses"]] == [
        ("callsign_prefix", 2, 1),
        ("airports", 1, 1),
    ]


def test_batch_counts_as_one_event_and_its_positions_apart() -> None:
    tally = counted(
        wanting("*", callsign_prefix=["DAL"]), positions("DAL1", "DAL2", "BAW1"), positions("BAW1"), positions()
    )
    assert (tally.looked_at, tally.passed, tally.positions, tally.positions_passed) == (3, 1, 4, 2)
    assert (tally.clauses["callsign_prefix"].stopped, tally.clauses["callsign_prefix"].alone) == (2, 2)


@given(subscriptions, st.lists(events(), max_size=8))
def test_tally_counts_what_the_hub_would_send(subscription: Subscription, found: list[tuple[str, Any]]) -> None:
    rig, tally, sent = StreamingRig(), Tally(subscription), 0
    for event_type, data in found:
        event = rig.broker.store(NewEvent(type=event_type, data=data))
        tally.add(event)
        selected = any(matches(channel, event_type) for channel in subscription.channels)
        sent += selected and sift(event, subscription.filters) is not None
    stopped = sum(clause.stopped for clause in tally.clauses.values())
    assert tally.passed == sent
    assert tally.looked_at == len(found) == sent + stopped + tally.other_types.total()
