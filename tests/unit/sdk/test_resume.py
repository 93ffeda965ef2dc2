"""Where a client stands: what is new, what to ask for after a break, and when to tell of a gap."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_client.resume import SETTLED_SECONDS, EventId, Progress, Recovery, parse_id

GREETING = {"resume": True, "last_event_id": "100-0"}


def begun(progress: Progress, newest: str = "100-0", **answer: Any) -> str | None:
    """Connect and subscribe as a session does; return the gap's reason."""
    progress.connected(GREETING)
    asked = progress.after
    answer = {"last_event_id": newest, "resumed": asked is not None, "gap": False, **answer}
    return progress.subscribed(answer, asked=asked, history={}, now=0.0)


def take(progress: Progress, text: str, now: float = 0.0) -> bool:
    return progress.received(parse_id(text), now=now)


@pytest.mark.parametrize("text", ["", "5", "-5", "5-", "a-1", "1-a", "1-1-1", " 1-1", "1-1 ", "٣-1", None, 5, ["1-1"]])
def test_what_is_no_id_is_none(text: object) -> None:
    assert parse_id(text) is None


@given(st.integers(0, 10**15 - 1), st.integers(0, 10**7 - 1), st.integers(0, 10**15 - 1), st.integers(0, 10**7 - 1))
def test_ids_compare_like_numbers_not_like_text(a: int, b: int, c: int, d: int) -> None:
    first, second = parse_id(f"{a}-{b}"), parse_id(f"{c}-{d}")
    assert first is not None
    assert second is not None
    assert (first < second) == ((a, b) < (c, d))
    assert str(first) == f"{a}-{b}"


def test_a_client_that_saw_nothing_asks_for_nothing() -> None:
    progress = Progress()
    progress.connected(GREETING)
    assert progress.after is None


def test_events_are_new_once_and_only_in_order() -> None:
    progress = Progress()
    begun(progress)
    assert [take(progress, text) for text in ("101-0", "101-1", "101-1", "101-0", "102-0")] == [
        True,
        True,
        False,
        False,
        True,
    ]


def test_events_without_an_id_are_always_new() -> None:
    progress = Progress()
    assert progress.received(None, now=0)
    assert progress.received(None, now=0)


def test_the_last_event_is_where_to_go_on() -> None:
    progress = Progress()
    begun(progress)
    take(progress, "105-2")
    progress.connected(GREETING)
    assert str(progress.after) == "105-2"


def test_nothing_came_yet_but_what_comes_after_the_subscription_is_owed() -> None:
    progress = Progress()
    begun(progress, newest="120-0")
    progress.connected(GREETING)
    assert str(progress.after) == "120-0"


def test_a_break_before_the_answer_goes_on_from_the_greeting() -> None:
    progress = Progress()
    progress.connected(GREETING)
    progress.awaits_from(GREETING["last_event_id"])
    progress.connected({"resume": True, "last_event_id": "130-0"})
    assert str(progress.after) == "100-0"


def test_the_former_server_is_never_asked_to_resume() -> None:
    progress = Progress(parse_id("99-0"))
    progress.connected({"client_id": "c"})
    assert progress.after is None
    assert progress.no_history() == "this server can't send what was missed"
    progress.connected({"client_id": "c"})
    assert progress.no_history() is None


def test_a_server_without_ids_owes_nothing() -> None:
    progress = Progress()
    progress.connected({"client_id": "c"})
    progress.awaits_from(None)
    progress.subscribed({}, asked=None, history={}, now=0)
    progress.received(None, now=0)
    progress.connected({"client_id": "c"})
    assert progress.after is None
    assert progress.no_history() is None


def test_resuming_can_be_switched_off() -> None:
    progress = Progress(parse_id("99-0"), is_enabled=False)
    progress.connected(GREETING)
    assert progress.after is None
    assert progress.no_history() is None


def test_a_gap_in_the_answer_is_told_once() -> None:
    progress = Progress(parse_id("50-0"))
    assert begun(progress, gap=True) == "history no longer reaches back"
    assert progress.history_unavailable() is None


def test_an_unknown_id_is_a_gap_and_live_events_follow_whatever_their_ids() -> None:
    progress = Progress(parse_id("500-0"))
    progress.connected(GREETING)
    asked = progress.after
    assert progress.history_unavailable() is not None
    answer = {"last_event_id": "100-0", "resumed": False, "gap": True}
    assert progress.subscribed(answer, asked=asked, history={}, now=0) is None
    assert take(progress, "101-0")
    assert str(progress.point) == "101-0"


def test_after_an_older_history_was_restored_lower_ids_are_new() -> None:
    progress = Progress(parse_id("500-0"))
    assert begun(progress, newest="400-0", gap=True) is not None
    assert take(progress, "401-0")


def test_after_a_gap_with_an_empty_history_whatever_comes_is_new() -> None:
    progress = Progress(parse_id("500-0"))
    assert begun(progress, newest="", gap=True) is not None
    assert str(progress.point) == "500-0"
    assert take(progress, "3-0")


def test_the_last_few_were_asked_for_and_none_came() -> None:
    progress = Progress()
    progress.connected(GREETING)
    progress.subscribed({"last_event_id": "100-0"}, asked=None, history={"last": 5}, now=0)
    assert str(progress.after) == "100-0"
    take(progress, "97-0")
    assert str(progress.after) == "97-0", "the rest of the few is still owed"


def test_since_is_asked_for_again_when_nothing_came() -> None:
    progress = Progress()
    progress.connected(GREETING)
    gap = progress.subscribed({"last_event_id": "100-0", "gap": True}, asked=None, history={"since": "t"}, now=0)
    assert gap == "history does not reach back so far"
    assert progress.after is None


def test_a_gap_within_the_same_history_lets_nothing_come_twice() -> None:
    progress = Progress(parse_id("50-0"))
    begun(progress, newest="100-0", gap=True)
    assert not take(progress, "50-0")
    assert take(progress, "90-0")


def test_a_server_that_did_not_resume_is_a_gap() -> None:
    progress = Progress(parse_id("50-0"))
    assert begun(progress, newest="100-0", resumed=False) == "the server did not resume"


def test_nothing_happened_meanwhile_is_no_gap() -> None:
    progress = Progress(parse_id("100-0"))
    assert begun(progress, newest="100-0", resumed=False) is None


def test_a_quiet_subscription_moves_on_with_the_heartbeat_before() -> None:
    progress = Progress()
    begun(progress, newest="100-0")
    progress.heartbeat("200-0", now=30)
    assert str(progress.point) == "100-0"
    progress.heartbeat("300-0", now=60)
    assert str(progress.point) == "200-0"
    assert take(progress, "150-0"), "only events themselves are what later ones are held against"


def test_heartbeats_during_a_replay_do_not_move_it() -> None:
    progress = Progress(parse_id("50-0"))
    begun(progress, newest="1000-0")
    for minute in range(5):
        progress.heartbeat(f"{1000 + minute}-0", now=minute * 60)
    assert str(progress.point) == "50-0"


def test_a_live_event_ends_the_replay() -> None:
    progress = Progress(parse_id("50-0"))
    begun(progress, newest="1000-0")
    take(progress, "1001-0", now=5)
    progress.heartbeat("1005-0", now=30)
    progress.heartbeat("1009-0", now=60)
    assert str(progress.point) == "1005-0"


def test_a_replay_that_was_silent_for_long_is_over() -> None:
    progress = Progress(parse_id("50-0"))
    begun(progress, newest="1000-0")
    progress.heartbeat("1100-0", now=SETTLED_SECONDS - 1)
    progress.heartbeat("1200-0", now=SETTLED_SECONDS + 29)
    progress.heartbeat("1300-0", now=SETTLED_SECONDS + 59)
    assert str(progress.point) == "1200-0"


def test_heartbeats_before_any_subscription_say_nothing() -> None:
    progress = Progress()
    progress.connected(GREETING)
    progress.heartbeat("200-0", now=0)
    progress.heartbeat("300-0", now=30)
    assert progress.point is None


def test_the_program_may_name_where_to_begin_but_what_was_seen_counts_more() -> None:
    progress = Progress()
    progress.begins_after(parse_id("70-0"))
    progress.begins_after(parse_id("60-0"))
    progress.begins_after(None)
    assert str(progress.point) == "70-0"
    assert not take(progress, "70-0")


def test_unsubscribing_from_all_ends_what_is_owed() -> None:
    progress = Progress()
    begun(progress)
    take(progress, "101-0")
    progress.unsubscribed_from_all()
    progress.connected(GREETING)
    assert progress.after is None


@given(st.lists(st.integers(0, 40), max_size=60))
def test_whatever_comes_is_handed_over_strictly_increasing(numbers: list[int]) -> None:
    progress = Progress()
    begun(progress)
    handed = [number for number in numbers if progress.received(EventId(number, 0), now=0)]
    assert handed == sorted(set(handed))
    assert set(handed) == {n for i, n in enumerate(numbers) if all(m < n for m in numbers[:i])}


def test_recovery_counts_up_to_the_newest_event_of_the_answer() -> None:
    recovery = Recovery(parse_id("103-0"), parse_id("100-0"))
    assert not recovery.is_over_at_once
    for text in ("101-0", "103-0"):
        assert not recovery.is_over_before(parse_id(text))
        recovery.count()
    assert recovery.is_over_after(parse_id("103-0"))
    assert recovery.is_over_before(parse_id("104-0"))
    assert recovery.recovered == 2


@pytest.mark.parametrize(
    ("target", "after", "recovered"), [("100-0", "100-0", 0), (None, "100-0", None), ("100-0", None, None)]
)
def test_recovery_is_over_at_once_where_nothing_can_come(
    target: str | None, after: str | None, recovered: int | None
) -> None:
    recovery = Recovery(parse_id(target), parse_id(after))
    assert recovery.is_over_at_once
    assert recovery.recovered == recovered


def test_a_place_that_was_lost_begins_the_stream_with_a_gap_once() -> None:
    progress = Progress(lost="its file had rotted")
    for expected in ("its file had rotted", None):
        progress.connected({"resume": True})
        answer = {"last_event_id": "100-0", "gap": False}
        assert progress.subscribed(answer, asked=None, history={}, now=0) == expected


def test_ids_of_another_epoch_are_not_compared_and_the_gap_is_told_once() -> None:
    progress = Progress()
    progress.connected({"resume": True, "epoch": "a"})
    progress.subscribed({"last_event_id": "5000-0"}, asked=None, history={}, now=0.0)
    assert progress.received(parse_id("5001-0"), now=0.0)
    progress.connected({"resume": True, "epoch": "b"})
    asked = progress.after
    assert (str(asked), progress.epoch) == ("5001-0", "a")
    answer = {"last_event_id": "6000-0", "gap": True}
    assert progress.subscribed(answer, asked=asked, history={}, now=0.0) == (
        "the server has another history than before"
    )
    assert progress.epoch == "b"
    assert progress.received(parse_id("4000-0"), now=0.0)


def test_same_epoch_is_no_gap() -> None:
    progress = Progress()
    for _ in range(2):
        progress.connected({"resume": True, "epoch": "a"})
        answer = {"last_event_id": "5000-0", "gap": False, "resumed": True}
        assert progress.subscribed(answer, asked=progress.after, history={}, now=0.0) is None
