"""One timer for all deadlines: in time, never early, never twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import pytest
from support.virtual_clock import VirtualClock
from swim_server.concurrency.timer_wheel import TimerWheel


class Bell:
    """Notes when it rings; ``then`` is what it does."""

    def __init__(self, clock: VirtualClock, then: Callable[[], None] = lambda: None) -> None:
        self.wheel_tick: int | None = None
        self.rang: list[float] = []
        self._clock = clock
        self.then = then

    def on_due(self) -> None:
        self.rang.append(self._clock.seconds)
        self.then()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def failures() -> list[BaseException]:
    return []


@pytest.fixture
def wheel(clock: VirtualClock, failures: list[BaseException]) -> TimerWheel:
    return TimerWheel(clock, on_failure=failures.append, tick_seconds=0.1)


def test_it_rings_once_and_not_before_its_time(wheel: TimerWheel, clock: VirtualClock) -> None:
    bell = Bell(clock)
    wheel.schedule(bell, 0.5)
    for _ in range(20):
        clock.seconds += 0.05
        wheel.advance()
    (rang,) = bell.rang
    assert 1000.5 <= rang <= 1000.7
    assert bell.wheel_tick is None


def test_new_deadline_replaces_the_old_one(wheel: TimerWheel, clock: VirtualClock) -> None:
    bell = Bell(clock)
    wheel.schedule(bell, 0.5)
    wheel.schedule(bell, 5)
    clock.seconds += 1
    wheel.advance()
    assert not bell.rang
    clock.seconds += 5
    wheel.advance()
    assert len(bell.rang) == 1


def test_cancelled_never_rings(wheel: TimerWheel, clock: VirtualClock) -> None:
    bell = Bell(clock)
    wheel.schedule(bell, 0.5)
    wheel.cancel(bell)
    wheel.cancel(bell)
    clock.seconds += 60
    wheel.advance()
    assert not bell.rang
    assert not wheel._buckets, "nothing is left behind"


def test_it_may_schedule_itself_again(wheel: TimerWheel, clock: VirtualClock) -> None:
    bell = Bell(clock)
    bell.then = lambda: wheel.schedule(bell, 1)
    wheel.schedule(bell, 1)
    for _ in range(100):
        clock.seconds += 0.1
        wheel.advance()
    assert 8 <= len(bell.rang) <= 10


def test_one_may_cancel_another_that_is_due_in_the_same_tick(wheel: TimerWheel, clock: VirtualClock) -> None:
    bells = [Bell(clock), Bell(clock)]
    bells[0].then = lambda: wheel.cancel(bells[1])
    for bell in bells:
        wheel.schedule(bell, 0.5)
    clock.seconds += 1
    wheel.advance()
    assert [len(bell.rang) for bell in bells] == [1, 0]


def test_one_may_cancel_the_only_one_of_a_later_tick_that_is_due_too(wheel: TimerWheel, clock: VirtualClock) -> None:
    first, second = Bell(clock), Bell(clock)
    first.then = lambda: wheel.cancel(second)
    wheel.schedule(first, 0.5)
    wheel.schedule(second, 0.9)
    clock.seconds += 5
    wheel.advance()
    assert (len(first.rang), len(second.rang)) == (1, 0)


def test_long_pause_rings_everything_that_was_due_in_its_order(wheel: TimerWheel, clock: VirtualClock) -> None:
    order: list[int] = []
    for number in (3, 1, 2):
        wheel.schedule(Bell(clock, partial(order.append, number)), number * 10)
    clock.seconds += 3600 * 24 * 365
    wheel.advance()
    assert order == [1, 2, 3]


def test_one_that_fails_does_not_silence_the_others(
    wheel: TimerWheel, clock: VirtualClock, failures: list[BaseException]
) -> None:
    def fail() -> None:
        raise RuntimeError("as the test asked")

    bells = [Bell(clock, fail), Bell(clock)]
    for bell in bells:
        wheel.schedule(bell, 0.5)
    clock.seconds += 1
    wheel.advance()
    assert [len(bell.rang) for bell in bells] == [1, 1]
    assert len(failures) == 1


@pytest.mark.parametrize("seed", range(10))
def test_random_deadlines_ring_between_one_and_two_ticks_late(
    wheel: TimerWheel, clock: VirtualClock, seed: int
) -> None:
    chance = random.Random(seed)
    due: dict[Bell, float] = {}
    bells = [Bell(clock) for _ in range(20)]
    for _ in range(300):
        bell = chance.choice(bells)
        match chance.randrange(4):
            case 0:
                wheel.cancel(bell)
                due.pop(bell, None)
            case 1:
                delay = chance.uniform(0, 3)
                wheel.schedule(bell, delay)
                due[bell] = clock.seconds + delay
            case _:
                clock.seconds += 0.05
                before = {each: len(each.rang) for each in bells}
                wheel.advance()
                for each in bells:
                    if len(each.rang) > before[each]:
                        assert due.pop(each) <= clock.seconds
                assert all(moment > clock.seconds - 0.25 for moment in due.values())
