"""The state is loaded in the background if that takes long, and nothing is folded twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.naive_state import HistoryDice, held
from support.streaming_rig import FakeBroker, StreamingRig
from support.virtual_clock import TimeIsUp, VirtualClock
from swim_server.concurrency.tasks import Tasks
from swim_server.daemon.upkeep import state_keeper
from swim_server.daemon.upkeep.state_keeper import StateKeeper
from swim_server.daemon.workers.worker_parts import StateFollower
from swim_server.logs import get_logger
from swim_server.state import checkpoint, loading
from swim_server.state.kinds import BUILT_IN
from swim_server.state.world import World


class KeeperRig:
    """A keeper of a hub's world over a history in a list."""

    def __init__(self, path: Path, *, seconds: float = float("inf"), kind: type[StateKeeper] = StateKeeper) -> None:
        self.path = path
        self.dice = HistoryDice(1)
        self.broker = FakeBroker()
        self.folded = World()
        """What the world should be."""
        self.streaming = StreamingRig()
        self.hub = self.streaming.hub
        self.clock = VirtualClock(until=seconds)
        self.tasks = Tasks(lambda error: None)
        self.keeper = kind(
            self.hub, self.broker, path, kinds=BUILT_IN, max_age_ms=10**9, is_publishing=lambda: False,  # type: ignore[arg-type]  # a history in a list
            clock=self.clock, log=get_logger("test"),
        )  # fmt: skip

    def store(self, count: int) -> None:
        for _ in range(count):
            self.folded.fold(self.broker.store(self.dice.new_event()))

    def deliver(self, count: int) -> None:
        before = len(self.broker.events)
        self.store(count)
        self.hub.deliver(self.broker.events[before:])
        self.streaming.run()

    def begin_after_history(self) -> None:
        self.hub.begin_after(self.broker.newest_id)

    def kept(self) -> checkpoint.Checkpoint:
        return checkpoint.decode(self.path.read_bytes(), self.broker.epoch)


@asynccontextmanager
async def rig(
    path: Path, *, seconds: float = float("inf"), kind: type[StateKeeper] = StateKeeper
) -> AsyncIterator[KeeperRig]:
    made = KeeperRig(path, seconds=seconds, kind=kind)
    try:
        yield made
    finally:
        await made.tasks.close()
        await made.streaming.close()


async def test_start_does_not_wait_for_a_long_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes meanwhile is part of the world in the end."""
    monkeypatch.setattr(state_keeper, "START_SECONDS", 0.01)
    async with rig(tmp_path / "state") as made:
        made.store(100)
        made.begin_after_history()
        made.broker.is_gated = True
        await made.keeper.begin(made.tasks)
        assert not made.hub.state.is_ready
        made.deliver(20)
        made.broker.is_gated = False
        made.broker.open_gate()
        await asyncio.wait_for(made.hub.state.ready(), 30)
        assert held(made.hub.state.world) == held(made.folded)


async def test_start_goes_on_where_history_cannot_be_read_yet(tmp_path: Path) -> None:
    async with rig(tmp_path / "state") as made:
        made.store(10)
        made.begin_after_history()
        made.broker.fail_next = True
        await made.keeper.begin(made.tasks)
        await asyncio.wait_for(made.hub.state.ready(), 30)
        assert held(made.hub.state.world) == held(made.folded)


async def test_long_fold_is_kept_as_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed in the middle of it, each time, comes to its end all the same."""
    monkeypatch.setattr(loading, "PROGRESS_EVENTS", 40)
    async with rig(tmp_path / "state") as made:
        made.store(100)
        made.begin_after_history()
        made.broker.max_page, made.broker.is_gated = 20, True
        loading_task = asyncio.create_task(made.keeper.load())
        for _ in range(3):
            while not made.broker.gates:
                await asyncio.sleep(0)
            made.broker.open_gate()
        while not made.path.exists():
            await asyncio.sleep(0.001)
        loading_task.cancel()
        await asyncio.gather(loading_task, return_exceptions=True)
        assert made.kept().id == made.broker.events[39].id
        made.broker.is_gated, made.broker.reads = False, 0
        assert await made.keeper.load()
        assert made.broker.reads == 3
        assert held(made.hub.state.world) == held(made.folded)


async def test_many_events_are_a_reason_for_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is killed again and again within a minute does not fold more at each start."""
    monkeypatch.setattr(state_keeper, "CHECKPOINT_EVENTS", 50)
    async with rig(tmp_path / "state", seconds=10) as made:
        await made.keeper.begin(made.tasks)
        made.deliver(49)
        with pytest.raises(TimeIsUp):
            await made.keeper.run()
        assert not made.path.exists()
    async with rig(tmp_path / "state", seconds=10) as made:
        await made.keeper.begin(made.tasks)
        made.deliver(50)
        with pytest.raises(TimeIsUp):
            await made.keeper.run()
        assert made.kept().id == made.broker.newest_id


@pytest.mark.timeout(20)
async def test_worker_goes_on_after_as_many_events_as_make_a_checkpoint_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps none, and must not wait for one without ever letting anything else run."""
    monkeypatch.setattr(state_keeper, "CHECKPOINT_EVENTS", 50)
    async with rig(tmp_path / "state", seconds=600, kind=StateFollower) as made:
        await made.keeper.begin(made.tasks)
        made.deliver(120)
        with pytest.raises(TimeIsUp):
            await made.keeper.run()
        assert not made.path.exists()


async def test_worker_loads_the_world_for_the_first_who_asks(tmp_path: Path) -> None:
    """What came before, and what comes while it is loaded, is part of it; until then nothing is kept or folded."""
    async with rig(tmp_path / "state", kind=StateFollower) as made:
        made.store(30)
        made.begin_after_history()
        await made.keeper.begin(made.tasks)
        made.deliver(40)
        state = made.hub.state
        assert not state.is_ready and not state.has_pending
        made.broker.is_gated = True
        asking = [asyncio.create_task(state.ready()) for _ in range(3)]
        while not made.broker.gates:
            await asyncio.sleep(0.001)
        made.deliver(20)
        made.broker.is_gated = False
        made.broker.open_gate()
        await asyncio.wait_for(asyncio.gather(*asking), 30)
        assert held(state.world) == held(made.folded)
        made.deliver(20)
        assert held(state.world) == held(made.folded)
        assert not made.path.exists()


async def test_worker_that_cannot_read_history_loads_the_world_later(tmp_path: Path) -> None:
    async with rig(tmp_path / "state", kind=StateFollower) as made:
        made.store(30)
        made.begin_after_history()
        await made.keeper.begin(made.tasks)
        made.broker.fail_next = True
        await asyncio.wait_for(made.hub.state.ready(), 30)
        assert held(made.hub.state.world) == held(made.folded)


async def test_client_that_asks_for_state_while_it_is_sent_history_waits_for_the_world(tmp_path: Path) -> None:
    """The end of its first catch-up comes before the world: it must not be taken for a client with state yet."""
    async with rig(tmp_path / "state", kind=StateFollower) as made:
        made.store(30)
        made.begin_after_history()
        streaming = made.streaming
        streaming.broker.events = made.broker.events
        first = str(made.broker.events[0].id)
        loads: list[int] = []
        made.hub.state.load_when_wanted = lambda: loads.append(1)
        client = streaming.connect()
        streaming.say(client, "subscribe", channels=["flight.*"], after=first)
        while (catch_up := streaming.connection(client).catch_up) is None:
            await asyncio.sleep(0)
        streaming.broker.is_gated = True
        streaming.say(client, "subscribe", channels=["tmi.*"], after=first, state="on_gap")
        while not loads:
            await streaming.settle()
            streaming.broker.open_gate(-1)
        assert streaming.connection(client).catch_up is catch_up
        streaming.broker.is_gated = False
        while streaming.broker.gates:
            streaming.broker.open_gate()
        await streaming.settle()
        assert loads == [1] and not streaming.failures
        assert client.types.count("subscribed") == 1
        assert made.hub.state.begin(made.folded)
        await streaming.settle()
        assert client.types.count("subscribed") == 2 and not streaming.failures
