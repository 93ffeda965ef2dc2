"""Random clients that come, go, resume and ask for state hold exactly what a naive fold of all events holds."""

from __future__ import annotations

import random
from typing import Any

import pytest
from support.any_filters import Dice
from support.naive_mirror import FAMILY_KINDS, NaiveMirror
from support.naive_state import HistoryDice, naive_fold, told
from support.streaming_rig import FakeClientTransport, StreamingRig
from swim_server.protocol.filters import EMPTY, Filters
from swim_server.state.world import World

pytestmark = pytest.mark.unmeasured

CHANNELS = (["flight.*"], ["*"], ["flight.*", "tmi.*"], ["tmi.*", "splits.*", "aman.*"])


class Consumer:
    """One client over its connections: its mirror, and what it is connected by at the moment."""

    def __init__(self, rig: StreamingRig, dice: random.Random, filters: Filters) -> None:
        self._rig, self._random, self.filters = rig, dice, filters
        self.channels = dice.choice(CHANNELS)
        self.mirror = NaiveMirror(has_filters=bool(filters))
        self.transport: FakeClientTransport | None = None
        self._read = 0

    def come(self) -> None:
        capacity = self._random.choice((None, None, 3000, 200))
        window_bits = self._random.choice((0, 0, 15))
        self.transport = self._rig.connect(capacity=capacity, window_bits=window_bits)
        self._read = 0
        if self.mirror.states and self.mirror.last_id is not None:
            how: dict[str, Any] = {"after": self.mirror.last_id, "state": "on_gap"}
        else:
            how = {"state": True}
        self._rig.say(
            self.transport, "subscribe", channels=self.channels, filters=self.filters.to_wire(),
            max_message_bytes=self._random.choice((65_535, 4096)), **how,
        )  # fmt: skip

    def ask_again(self) -> None:
        if self.transport is not None and self.transport.closed is None:
            self._rig.say(self.transport, "subscribe", channels=self.channels, state=True)

    def go(self) -> None:
        self.read()
        if self.transport is not None and self.transport.closed is None:
            self._rig.hub.remove(self._rig.connection(self.transport))
        self.transport = None

    def read(self) -> None:
        """Take in what was sent; messages that were cut off by a break were never received."""
        if self.transport is None:
            return
        messages = self.transport.messages
        for message in messages[self._read :]:
            self.mirror.take(message)
        self._read = len(messages)

    def let_flow(self) -> None:
        if self.transport is not None:
            self.transport.read_on()

    def expected(self, world: dict[str, dict[Any, dict[str, Any]]]) -> dict[str, dict[Any, dict[str, Any]]]:
        families = FAMILY_KINDS if "*" in self.channels else [each.partition(".")[0] for each in self.channels]
        return {
            FAMILY_KINDS[family]: {
                key: entry
                for key, entry in world[FAMILY_KINDS[family]].items()
                if self.filters.passes(f"{family}.state", entry)
            }
            for family in families
        }


async def play(seed: int, *, steps: int = 60, may_gap: bool) -> int:
    """Play one history; returns how many whole states were sent."""
    dice, history, any_filters = random.Random(seed), HistoryDice(seed), Dice(seed)
    rig = StreamingRig(recent_events=dice.choice((3, 30, 2048)))
    rig.hub.state.begin(World())
    consumers = [Consumer(rig, dice, dice.choice((EMPTY, any_filters.filters()))) for _ in range(5)]
    stored = []
    for _ in range(steps):
        match dice.randrange(10):
            case 0 | 1 | 2 | 3 | 4:
                stored += rig.publish(*(history.new_event() for _ in range(dice.randint(1, 4))))
            case 5:
                consumer = dice.choice(consumers)
                consumer.go()
                consumer.come()
            case 6:
                dice.choice(consumers).let_flow()
            case 7:
                dice.choice(consumers).ask_again()
            case 8:
                await rig.settle()
            case 9 if may_gap and len(rig.broker.events) > 1:
                rig.broker.remove(dice.choice(rig.broker.events[:-1]))
            case _:
                rig.turn()
    for consumer in consumers:
        if consumer.transport is None or consumer.transport.closed is not None:
            consumer.go()
            consumer.come()
    for _ in range(20):
        for consumer in consumers:
            consumer.let_flow()
        await rig.settle()
    assert rig.failures == []
    world = naive_fold(map(told, stored))
    for consumer in consumers:
        consumer.read()
        assert consumer.mirror.held == consumer.expected(world), (seed, consumer.channels, consumer.filters)
    await rig.close()
    return sum(consumer.mirror.states for consumer in consumers)


@pytest.mark.parametrize("batch", range(8))
async def test_mirrors_hold_what_the_naive_fold_holds(batch: int) -> None:
    """A thousand histories with five consumers each; ``tests/load/state.py`` plays any number of them."""
    states = 0
    for seed in range(batch * 125, batch * 125 + 125):
        states += await play(seed, steps=40, may_gap=seed % 3 == 0)
    assert states > 250
