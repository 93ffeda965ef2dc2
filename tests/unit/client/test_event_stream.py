"""The stream survives every disturbance, and yields each event once."""

from __future__ import annotations

from typing import Any

import pytest
from support.memory_session import (
    CONNECTED,
    Dialler,
    MemorySession,
    event,
    id_of,
    lost,
    subscribed,
)
from support.virtual_clock import VirtualClock

from swimctl.client.connect import Gone, LimitReached
from swimctl.client.event_stream import ALIVE_SECONDS, EventStream
from swimctl.client.stream_items import (
    Answered,
    Away,
    CaughtUp,
    EventReceived,
    Gap,
    Lost,
    StreamItem,
    Subscribed,
    SubscriptionRequest,
)
from swimctl.errors import CommandFailed, DaemonNotRunning, Refused, WrongUsage


@pytest.fixture
def time() -> VirtualClock:
    return VirtualClock()


def stream_of(time: VirtualClock, *sessions: MemorySession | Exception | None, **wanted: Any) -> EventStream:
    channels = wanted.pop("channels", ("*",))
    stream = EventStream(Dialler(list(sessions)), SubscriptionRequest(channels, **wanted), clock=time)
    stream.open()
    return stream


def take(stream: EventStream, rounds: int = 30, timeout: float = 1.0) -> list[StreamItem]:
    return [item for _ in range(rounds) if (item := stream.next(timeout)) is not None]


def told(items: list[StreamItem]) -> list[object]:
    """Events as their numbers, the rest by name."""
    return [
        int(str(item.event["id"]).partition("-")[2]) if isinstance(item, EventReceived) and "id" in item.event
        else f"recovered {item.recovered}" if isinstance(item, CaughtUp)
        else type(item).__name__
        for item in items
    ]  # fmt: skip


def test_stream_without_a_start_is_live_at_once(time: VirtualClock) -> None:
    session = MemorySession(time, [CONNECTED, subscribed(5), event(6), event(7)])
    stream = stream_of(time, session, filters={"airports": ["KJFK"]})
    assert session.sent == [
        {"action": "subscribe", "channels": ["*"], "filters": {"airports": ["KJFK"]}, "notices": True}
    ]
    assert told(take(stream)) == ["Subscribed", 6, 7]
    assert not stream.is_catching_up


def test_stream_from_history_says_when_it_has_caught_up(time: VirtualClock) -> None:
    session = MemorySession(time, [CONNECTED, subscribed(5), event(4), event(5)])
    stream = stream_of(time, session, last=2)
    assert session.sent[0]["last"] == 2
    items = take(stream)
    assert told(items) == ["Subscribed", 4, 5, "recovered 2"]
    assert items[-1] == CaughtUp(2, is_first=True)


def test_stream_asks_again_while_history_is_being_sent(time: VirtualClock) -> None:
    session = MemorySession(time, [CONNECTED, subscribed(9)])
    answers = iter([{"catching_up": True}, {"catching_up": True}, {"catching_up": False}])
    session.on_status = lambda: next(answers)
    assert told(take(stream_of(time, session, since="x"))) == ["Subscribed", "recovered 0"]
    assert [message.get("action") for message in session.sent] == ["subscribe", "status", "status", "status"]


def test_stream_has_caught_up_when_an_event_newer_than_the_subscription_comes(time: VirtualClock) -> None:
    session = MemorySession(time, [CONNECTED, subscribed(5), event(5), event(6)])
    session.on_status = lambda: {"catching_up": True}
    assert told(take(stream_of(time, session, last=1)))[:4] == ["Subscribed", 5, "recovered 1", 6]


@pytest.mark.parametrize("data", [{}, None])
def test_stream_from_a_server_that_does_not_tell_ends_history_by_silence(time: VirtualClock, data: Any) -> None:
    session = MemorySession(time, [CONNECTED, subscribed(5), event(5)])
    session.on_status = lambda: data
    assert told(take(stream_of(time, session, last=1))) == ["Subscribed", 5, "recovered 1"]


def test_stream_resumes_after_the_last_event_and_repeats_none(time: VirtualClock) -> None:
    second = MemorySession(time, [CONNECTED, subscribed(9), event(7), event(8), event(9), event(10)])
    first = MemorySession(time, [CONNECTED, subscribed(5), event(6), event(7), lost(1012, "restart")])
    items = take(stream_of(time, first, second))
    assert second.sent[0]["after"] == id_of(7)
    assert told(items) == ["Subscribed", 6, 7, "Lost", "Subscribed", 8, 9, "recovered 2", 10]
    assert first.is_closed


def test_stream_that_saw_nothing_resumes_from_where_it_began(time: VirtualClock) -> None:
    first = MemorySession(time, [CONNECTED, subscribed(5), lost()])
    second = MemorySession(time, [CONNECTED, subscribed(6), event(6)])
    assert told(take(stream_of(time, first, second))) == ["Subscribed", "Lost", "Subscribed", 6, "recovered 1"]
    assert second.sent[0]["after"] == id_of(5)


def test_stream_lost_in_the_middle_of_history_goes_on_from_the_last_event(time: VirtualClock) -> None:
    first = MemorySession(time, [CONNECTED, subscribed(9), event(7), lost()])
    first.on_status = lambda: None
    second = MemorySession(time, [CONNECTED, subscribed(9), event(8), event(9)])
    items = take(stream_of(time, first, second, last=3))
    assert told(items) == ["Subscribed", 7, "Lost", "Subscribed", 8, 9, "recovered 2"]
    assert second.sent[0] == {
        "action": "subscribe",
        "channels": ["*"],
        "filters": {},
        "after": id_of(7),
        "notices": True,
    }


def test_stream_tells_what_it_has_recovered_to_who_ends_in_the_middle_of_it(time: VirtualClock) -> None:
    first = MemorySession(time, [CONNECTED, subscribed(5), event(6), lost()])
    second = MemorySession(time, [CONNECTED, subscribed(9), event(7), event(8), event(9)])
    second.on_status = lambda: {"catching_up": True}
    stream = stream_of(time, first, second)
    assert told(take(stream, rounds=4)) == ["Subscribed", 6, "Lost", "Subscribed"]
    assert stream.unfinished_recovery == CaughtUp(0, is_first=False)
    assert told(take(stream, rounds=2)) == [7, 8]
    assert stream.unfinished_recovery == CaughtUp(2, is_first=False)


def test_stream_whose_first_history_is_no_recovery_says_so(time: VirtualClock) -> None:
    session = MemorySession(time, [CONNECTED, subscribed(9), event(7)])
    stream = stream_of(time, session, last=3)
    assert told(take(stream, rounds=2)) == ["Subscribed", 7]
    assert stream.unfinished_recovery is None


def test_stream_waits_for_a_daemon_that_is_away(time: VirtualClock) -> None:
    first = MemorySession(time, [CONNECTED, subscribed(5), lost()])
    away = [None, DaemonNotRunning(), CommandFailed("starting"), LimitReached("full"), None]
    second = MemorySession(time, [CONNECTED, subscribed(5)])
    stream = stream_of(time, first, *away, second)
    began = time.seconds
    assert told(take(stream, rounds=20)) == ["Subscribed", "Lost", *["Away"] * 5, "Subscribed", "recovered 0"]
    assert time.seconds - began >= 0.1 + 0.2 + 0.4 + 0.8 + 1.6


def test_stream_comes_back_no_sooner_than_the_server_asks(time: VirtualClock) -> None:
    first = MemorySession(time, [CONNECTED, subscribed(5), lost(1012, "the service stops; retry_ms=2500")])
    dialler = Dialler([first, MemorySession(time, [CONNECTED, subscribed(5)])])
    stream = EventStream(dialler, SubscriptionRequest(("*",)), clock=time)
    stream.open()
    assert told(take(stream, rounds=2)) == ["Subscribed", "Lost"]
    lost_at = time.seconds
    while dialler.attempts < 2:
        stream.next(0.1)
    assert time.seconds - lost_at >= 2.5


NOTICE = {"type": "error", "code": "RESTARTING", "message": "restart; retry_ms=900", "data": {"retry_ms": 900}}


@pytest.mark.parametrize("ending", [lost(1012, "restart; retry_ms=900"), lost(1000), lost(1002), lost()])
def test_stream_told_of_a_restart_comes_back_as_asked_whatever_the_close_looks_like(
    time: VirtualClock, ending: Any
) -> None:
    second = MemorySession(time, [CONNECTED, subscribed(6), event(6)])
    stream = stream_of(time, MemorySession(time, [CONNECTED, subscribed(5), NOTICE, ending]), second)
    assert stream.next(0.0) == Subscribed({"tier": "local", "client_id": "client_0"}, is_first=True)
    items = take(stream, rounds=2, timeout=0.0)
    told_at = time.seconds
    assert items == [Lost("restart")]
    while not stream.is_connected:
        stream.next(0.05)
    assert 0.89 < time.seconds - told_at < 1.1
    assert told(take(stream)) == [6, "recovered 1"]


@pytest.mark.parametrize("notice", [[NOTICE], []], ids=["noticed", "not noticed"])
@pytest.mark.parametrize("wanted", [{"last": 2}, {}], ids=["history", "live"])
def test_stream_that_begins_while_the_service_restarts_begins_when_it_is_back(
    time: VirtualClock, notice: list[Any], wanted: Any
) -> None:
    first = MemorySession(time, [CONNECTED, *notice, lost(1012, "restart; retry_ms=900")])
    second = MemorySession(time, [CONNECTED, subscribed(5), event(6)])
    stream = stream_of(time, first, second, **wanted)
    items = take(stream)
    assert isinstance(items[0], Away)
    assert (items[0].reason, items[0].retry_seconds) == ("restart", 0.9)
    assert told(items[1:]) == (["Subscribed", "recovered 0", 6] if wanted else ["Subscribed", 6])
    assert second.sent[0] == first.sent[0]
    assert first.is_closed


@pytest.mark.parametrize("ending", [lost(4001, "revoked")])
def test_stream_told_of_a_restart_still_ends_for_good_where_its_key_is_refused(time: VirtualClock, ending: Any) -> None:
    with pytest.raises(Refused, match="revoked"):
        stream_of(time, MemorySession(time, [CONNECTED, NOTICE, ending]))


@pytest.mark.parametrize("retry_ms", [None, "soon", True, -1, 1.5])
def test_notice_of_a_restart_without_a_time_is_one_too(time: VirtualClock, retry_ms: object) -> None:
    notice = {"type": "error", "data": {"code": "RESTARTING", "message": "restart", "retry_ms": retry_ms}}
    stream = stream_of(time, MemorySession(time, [CONNECTED, subscribed(5), notice, lost()]))
    assert Lost("restart") in take(stream, rounds=3)


def test_stream_tells_a_gap(time: VirtualClock) -> None:
    first = MemorySession(time, [CONNECTED, subscribed(5), event(6), lost()])
    trouble = {"type": "error", "code": "HISTORY_UNAVAILABLE", "message": "too old", "data": {}}
    second = MemorySession(time, [CONNECTED, trouble, subscribed(99, gap=True), event(50)])
    assert told(take(stream_of(time, first, second)))[2:] == ["Lost", "Subscribed", "Gap", 50, "recovered 1"]


def test_stream_that_comes_back_to_another_history_tells_a_gap_and_takes_lower_ids(time: VirtualClock) -> None:
    first = MemorySession(time, [of_epoch("a"), subscribed(50), event(51), lost()])
    second = MemorySession(time, [of_epoch("b"), subscribed(9, gap=True), event(8), event(9), event(10)])
    items = take(stream_of(time, first, second))
    assert (second.sent[0]["after"], second.sent[0]["epoch"]) == (id_of(51), "a")
    assert told(items) == ["Subscribed", 51, "Lost", "Subscribed", "Gap", 8, 9, "recovered 2", 10]


def of_epoch(name: str) -> dict[str, Any]:
    return {"type": "connected", "data": {"epoch": name}}


def test_stream_does_not_call_it_a_gap_when_since_reaches_before_history(time: VirtualClock) -> None:
    session = MemorySession(time, [CONNECTED, subscribed(5, gap=True)])
    assert Gap() not in take(stream_of(time, session, since="2020-01-01T00:00:00Z"))


def test_stream_notices_a_connection_that_is_dead(time: VirtualClock) -> None:
    first = MemorySession(time, [CONNECTED, subscribed(5)])
    stream = stream_of(time, first, MemorySession(time, [CONNECTED, subscribed(5)]))
    began = time.seconds
    items = take(stream, rounds=120)
    assert Lost("nothing was received for too long") in items
    assert time.seconds - began >= ALIVE_SECONDS


def test_stream_takes_heartbeats_which_have_no_id(time: VirtualClock) -> None:
    beat = {"type": "system.heartbeat", "timestamp": "t", "data": {"connected_clients": 3}}
    session = MemorySession(time, [CONNECTED, subscribed(5), beat, event(6)])
    assert told(take(stream_of(time, session))) == ["Subscribed", "EventReceived", 6]


def test_stream_hands_out_answers_to_its_own_requests(time: VirtualClock) -> None:
    session = MemorySession(time, [CONNECTED, subscribed(5)])
    stream = stream_of(time, session)
    stream.ask("status")
    stream.ask("status")
    session.messages.append({"jsonrpc": "2.0", "id": 1, "result": {"pid": 7}})
    session.messages.append({"jsonrpc": "2.0", "id": 99, "result": {"pid": 8}})
    assert [item for item in take(stream) if isinstance(item, Answered)] == [Answered({"pid": 7})]
    assert sum("method" in message for message in session.sent) == 1


@pytest.mark.parametrize(
    ("messages", "error", "says"),
    [
        ([CONNECTED, {"type": "error", "code": "INVALID_CHANNEL", "message": "no x"}], WrongUsage, "no x"),
        ([CONNECTED, {"type": "error", "code": "INVALID_FILTER", "message": "bbox: no"}], WrongUsage, "bbox: no"),
        ([{"type": "error", "code": "AUTH_FAILED", "message": "expired"}], Refused, "the key was refused: expired"),
        ([{"type": "error", "code": "CONNECTION_LIMIT", "message": "5 of 5"}], LimitReached, "5 of 5"),
        ([{"type": "error", "code": "AUTH_UNAVAILABLE", "message": "later"}], CommandFailed, "later"),
        ([lost(4001, "no key")], Refused, "the key was refused: no key"),
        ([lost(4002)], LimitReached, "the maximum number of connections is reached"),
        ([lost(1013)], CommandFailed, "keys can't be checked at the moment"),
        ([lost(None)], CommandFailed, "the connection was closed: it broke"),
        ([CONNECTED], CommandFailed, "did not answer within"),
    ],
)  # fmt: skip
def test_stream_that_can_not_begin_says_why(
    time: VirtualClock, messages: list[Any], error: type[Exception], says: str
) -> None:
    session = MemorySession(time, messages)
    with pytest.raises(error, match=says):
        stream_of(time, session)
    assert session.is_closed


@pytest.mark.parametrize(
    "ending", [lost(4001, "revoked"), {"type": "error", "code": "AUTH_FAILED", "message": "revoked"}]
)
def test_stream_whose_key_is_revoked_ends_for_good(time: VirtualClock, ending: Any) -> None:
    stream = stream_of(time, MemorySession(time, [CONNECTED, subscribed(5), ending]))
    with pytest.raises(Refused, match="revoked"):
        take(stream)


def test_stream_whose_service_is_gone_for_good_ends(time: VirtualClock) -> None:
    stream = stream_of(time, MemorySession(time, [CONNECTED, subscribed(5), lost()]), Gone("it ended"))
    with pytest.raises(Gone):
        take(stream)


def test_stream_passes_over_what_is_no_event(time: VirtualClock) -> None:
    odd: list[Any] = [
        {}, {"type": "pong"}, {"type": "x.y"}, {"type": "x.y", "data": 3}, {"id": 3, "type": "x.y", "data": {}},
        {"type": "error", "code": "RATE_LIMITED", "message": "slow down"}, {"id": "odd", "type": "x.y", "data": {}},
    ]  # fmt: skip
    session = MemorySession(time, [CONNECTED, subscribed(5), *odd])
    items = take(stream_of(time, session))
    assert [type(item) for item in items] == [Subscribed, EventReceived, EventReceived]


def test_stream_with_no_time_to_wait_answers_at_once(time: VirtualClock) -> None:
    stream = stream_of(time, MemorySession(time, [CONNECTED, subscribed(5), event(6)]))
    began = time.seconds
    assert told(take(stream, rounds=3, timeout=0.0)) == ["Subscribed", 6]
    assert time.seconds - began < 0.1
