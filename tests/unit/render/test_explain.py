"""What ``explain`` shows: one event for one or several consumers, and the events of a channel."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console, RenderableType
from swim_server.daemon.control.documents.explain import (
    ChannelExplained,
    ClauseCount,
    ClauseDocument,
    ConsumerDocument,
    EventExplained,
    KeyDocument,
    StoredEvent,
    SubscriptionCounts,
)

from swimctl.render.explain import lines, moment, picture

EVENT = StoredEvent(id="1768573815123-0", type="flight.positions", stored_at="2026-01-16T14:30:15.123Z")
KEY = KeyDocument(id=7, hint="swim_dev_…x9Qz", tier="developer", owner="Ada", state="active", connected_now=2)
CLAUSES = [
    ClauseDocument(
        kind="airports", wanted=["KJFK"], found=["KJFK", "EGLL"], passes=True, matched=["KJFK"], remaining=4
    ),
    ClauseDocument(kind="callsign_prefix", wanted=["DAL"], found=["BAW1"], passes=False, remaining=0),
    ClauseDocument(kind="phase", wanted=["ENROUTE"], passes=True, applies=False),
]


def shown(what: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=140, color_system=None)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def explained(*consumers: ConsumerDocument, **fields: Any) -> EventExplained:
    first = consumers[0]
    return EventExplained(event=EVENT, outcome=first.outcome, why=first.why, consumers=list(consumers), **fields)


def test_one_consumer_is_shown_with_its_key_and_what_each_filter_said() -> None:
    consumer = ConsumerDocument(
        outcome="filtered", why="filter callsign_prefix stopped it", clauses=CLAUSES, positions=9
    )
    text = shown(picture(explained(consumer, key=KEY)))
    assert text.startswith("not sent: filter callsign_prefix stopped it\n")
    assert "7  swim_dev_…x9Qz  developer, Ada, active; 2 connections now" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["yes", "airports", "KJFK", "KJFK,", "EGLL", "(wanted:", "KJFK)", "4"] in rows
    assert ["no", "callsign_prefix", "DAL", "BAW1", "0"] in rows
    assert "does not apply to this family" in text
    assert "POSITIONS LEFT" in text


def test_several_connections_are_summed_up_and_listed() -> None:
    consumers = [
        ConsumerDocument(
            outcome="sent", why="sent at 14:30", connection="client_1", connected_at="2026-01-16T14:00:00Z"
        ),
        ConsumerDocument(outcome="slow", why="it read too slowly", connection="client_2", close_code=4008),
    ]
    text = shown(picture(explained(*consumers)))
    assert text.startswith("sent at 14:30\n")
    assert "2 connections: 1 sent, 1 not sent" in text
    assert "client_1" in text and "01-16 14:00" in text
    assert "it read too slowly" in text


def test_key_that_can_not_be_read_is_told_with_the_reason() -> None:
    consumer = ConsumerDocument(outcome="unknown", why="not known")
    assert "can't be read at the moment: no answer" in shown(picture(explained(consumer, key_problem="no answer")))


def test_lines_for_scripts_have_a_pair_for_each_consumer_and_clause() -> None:
    consumer = ConsumerDocument(outcome="filtered", why="stopped", connection="client_1", clauses=CLAUSES)
    assert lines(explained(consumer))[-4:] == [
        ("client_1", "filtered: stopped"),
        ("client_1.airports", "yes: wanted KJFK, has KJFK, EGLL (wanted: KJFK), 4 positions left"),
        ("client_1.callsign_prefix", "no: wanted DAL, has BAW1, 0 positions left"),
        ("client_1.phase", "-: wanted ENROUTE, has does not apply to this family"),
    ]


def channel(*subscriptions: SubscriptionCounts, **fields: Any) -> ChannelExplained:
    return ChannelExplained(
        channel="flight.*", from_="2026-01-16T13:30:00Z", to="2026-01-16T14:30:00Z", subscriptions=list(subscriptions),
        **fields,
    )  # fmt: skip


def test_channel_is_shown_with_what_each_subscription_would_have_been_sent() -> None:
    counts = SubscriptionCounts(
        channels=["flight.departed"], filters={"airports": ["KJFK"]}, looked_at=1200, passed=3,
        not_subscribed={"flight.arrived": 50},
        clauses=[ClauseCount(kind="airports", wanted=["KJFK"], stopped=9, alone=2)],
        positions=4000, positions_passed=10, connections=["client_1"],
    )  # fmt: skip
    text = shown(picture(channel(counts, has_gap=True, is_complete=False, subscriptions_left_out=2)))
    assert "client_1: flight.departed airports=KJFK" in text
    assert "3 of 1,200 events would be sent" in text
    assert "of 4,000 positions in batches 10 pass" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["not", "subscribed", "to", "flight.arrived", "50", "-"] in rows
    assert ["airports", "KJFK", "9", "2"] in rows
    assert "the rest was not counted; history does not reach back so far" in " ".join(text.split())
    assert "and 2 other subscriptions" in text
    pairs = dict(lines(channel(counts)))
    assert pairs["passed"] == "3"
    assert pairs["stopped.airports"] == "9 alone 2"


def test_channel_without_a_subscription_says_so() -> None:
    assert "there is no subscription to evaluate" in shown(picture(channel()))


def test_moment_shows_what_is_no_time_as_it_is() -> None:
    assert moment(None) == "-"
    assert moment("2026-01-16T14:30:15.123Z") == "01-16 14:30"
