"""What waits for a slow client: order, conflation, and how many bytes that is."""

from __future__ import annotations

import gc
import random
from typing import Any

import pytest
from support.streaming_rig import flight, positions, read_messages
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import Event, NewEvent, stamp
from swim_server.streaming.backlog import Backlog
from swim_server.streaming.framed_event import PLAIN, FramedEvent

ALL = 1 << 30


class Queue:
    """A backlog and the number of the next event."""

    def __init__(self) -> None:
        self.backlog = Backlog()
        self.number = 0

    def put(self, new: NewEvent, window_bits: int = PLAIN) -> int:
        self.number += 1
        framed = FramedEvent(stamp(new, EventId(self.number, 0)))
        return self.backlog.append(framed.frame(window_bits), framed)

    def take_all(self) -> list[dict[str, Any]]:
        return read_messages(self.backlog.take(ALL))


def callsigns(message: dict[str, Any]) -> list[str]:
    return [row["callsign"] for row in message["data"]["positions"]]


def test_frames_come_out_in_their_order() -> None:
    queue = Queue()
    for callsign in "ABC":
        queue.put(flight(callsign))
    queue.backlog.append(b"\x81\x02{}")
    assert [message.get("data", {}).get("callsign") for message in queue.take_all()] == ["A", "B", "C", None]
    assert not queue.backlog
    assert queue.backlog.size_bytes == 0


def test_newer_position_takes_the_older_one_out_of_its_batch() -> None:
    queue = Queue()
    queue.put(positions("A", "B", latitude=1))
    queue.put(flight())
    queue.put(positions("B", "C", latitude=2))
    first, other, second = queue.take_all()
    assert (callsigns(first), first["data"]["count"], first["id"]) == (["A"], 1, "1-0")
    assert other["type"] == "flight.created"
    assert callsigns(second) == ["B", "C"]


def test_batch_of_which_nothing_is_left_goes_away() -> None:
    queue = Queue()
    assert queue.put(positions("A")) == 0
    assert queue.put(positions("A")) == 1
    assert len(queue.backlog) == 1
    assert [message["id"] for message in queue.take_all()] == ["2-0"]


def test_single_positions_are_conflated_too() -> None:
    queue = Queue()
    for latitude in range(3):
        queue.put(flight("A", type="flight.position", latitude=latitude))
    queue.put(positions("A", "B"))
    assert [message["type"] for message in queue.take_all()] == ["flight.positions"]


def test_flight_is_told_by_its_uid_before_its_callsign() -> None:
    queue = Queue()
    queue.put(positions("A", flight_uid=1))
    queue.put(positions("A", flight_uid=2))
    assert len(queue.take_all()) == 2


@pytest.mark.parametrize("rows", [None, 5, "text", {}, [], [None, None], [[], {}], [{"flight_uid": None}] * 2])
def test_positions_that_name_no_flight_are_all_kept(rows: Any) -> None:
    queue = Queue()
    queue.put(NewEvent(type="flight.positions", data={"positions": rows}))
    queue.put(NewEvent(type="flight.positions", data={"positions": rows}))
    assert [message["data"]["positions"] for message in queue.take_all()] == [rows, rows]


def test_other_members_of_a_batch_stay() -> None:
    queue = Queue()
    batch = positions("A", "B")
    batch.data["source"] = "feed"
    queue.put(batch)
    queue.put(positions("B"))
    assert queue.take_all()[0]["data"] == {"count": 1, "positions": [{"callsign": "A"}], "source": "feed"}


def test_compressed_batch_that_was_cut_goes_out_plain() -> None:
    queue = Queue()
    queue.put(positions(*(f"A{number}" for number in range(30))), window_bits=12)
    queue.put(positions("A0"), window_bits=12)
    whole, newer = queue.take_all()
    assert len(callsigns(whole)) == 29
    assert callsigns(newer) == ["A0"]


def test_flight_named_twice_in_a_batch_is_conflated_as_one() -> None:
    queue = Queue()
    queue.put(positions("A", "A"))
    queue.put(positions("A"))
    assert len(queue.take_all()) == 1
    assert queue.backlog.size_bytes == 0


def test_taking_stops_at_the_limit_but_takes_one_at_least() -> None:
    queue = Queue()
    for _ in range(3):
        queue.put(flight())
    size = queue.backlog.size_bytes // 3
    assert len(read_messages(queue.backlog.take(1))) == 1
    assert len(read_messages(queue.backlog.take(2 * size))) == 2
    assert queue.backlog.take(ALL) == b""


def test_taken_position_is_not_conflated_any_more() -> None:
    queue = Queue()
    queue.put(positions("A"))
    queue.take_all()
    assert queue.put(positions("A")) == 0
    assert len(queue.take_all()) == 1


@pytest.mark.parametrize("seed", range(20))
def test_size_is_what_comes_out_and_never_grows_past_it(seed: int) -> None:
    chance, queue = random.Random(seed), Queue()
    taken = waiting = 0
    for _ in range(200):
        if chance.random() < 0.2:
            before = queue.backlog.size_bytes
            taken += len(read_messages(queue.backlog.take(chance.choice([1, 300, 3000]))))
            assert queue.backlog.size_bytes <= before
        else:
            names = chance.sample("ABCDEFGH", chance.randint(1, 8))
            waiting += 1 - queue.put(positions(*names) if chance.random() < 0.7 else flight())
        assert queue.backlog.size_bytes >= 0
        assert len(queue.backlog) == waiting - taken
    rest = queue.backlog.size_bytes
    out = queue.backlog.take(ALL)
    assert queue.backlog.size_bytes == 0
    assert abs(len(out) - rest) <= 0.5 * rest + 200, "an estimate, but not far off"


def test_conflated_events_are_not_held() -> None:
    queue = Queue()
    for _ in range(500):
        queue.put(positions("A", "B"))
    queue.put(positions("B", "C"))
    gc.collect()
    backlog = queue.backlog
    assert len(backlog) == 2
    held = [each for each in gc.get_objects() if isinstance(each, Event)]
    assert len(held) <= 4
