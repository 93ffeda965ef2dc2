"""The queue: at once within the time slice, then in order, one slice per turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from support.virtual_clock import VirtualClock
from swim_server.gateway.work_queue import WorkQueue


class Turns:
    """A clock that each piece of work advances, and a loop of which the test takes the turns."""

    def __init__(self, *, work_seconds: float = 0.001, slice_seconds: float = 0.003) -> None:
        self.clock = VirtualClock(seconds=0)
        self.soon: deque[Callable[[], None]] = deque()
        self.done: list[int] = []
        self._work_seconds = work_seconds
        self.queue = WorkQueue(call_soon=self.soon.append, clock=self.clock, slice_seconds=slice_seconds)

    def arrive(self, number: int) -> None:
        self.queue.submit(lambda: self._do(number))

    def _do(self, number: int) -> None:
        self.clock.seconds += self._work_seconds
        self.done.append(number)

    def turn(self) -> None:
        for _ in range(len(self.soon)):
            self.soon.popleft()()


def test_few_are_let_in_at_once() -> None:
    turns = Turns()
    for number in range(3):
        turns.arrive(number)
    assert turns.done == [0, 1, 2]


def test_many_are_let_in_a_slice_a_turn_in_their_order() -> None:
    turns = Turns()
    for number in range(10):
        turns.arrive(number)
    assert turns.done == [0, 1, 2]
    assert len(turns.queue) == 7
    turns.turn()
    assert turns.done == [0, 1, 2, 3, 4, 5]
    while turns.soon:
        turns.turn()
    assert turns.done == list(range(10))
    assert not len(turns.queue)


def test_who_comes_while_others_wait_stands_behind_them() -> None:
    turns = Turns()
    for number in range(4):
        turns.arrive(number)
    turns.clock.seconds += 60
    turns.arrive(4)
    assert turns.done == [0, 1, 2]
    turns.turn()
    assert turns.done == [0, 1, 2, 3, 4]


def test_next_turn_begins_a_new_slice() -> None:
    turns = Turns()
    for _ in range(5):
        for number in range(3):
            turns.arrive(number)
        turns.turn()
    assert len(turns.done) == 15


def test_one_that_takes_longer_than_a_slice_is_let_in_all_the_same() -> None:
    turns = Turns(work_seconds=1)
    for number in range(3):
        turns.arrive(number)
    while turns.soon:
        turns.turn()
    assert turns.done == [0, 1, 2]
