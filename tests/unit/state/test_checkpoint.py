"""A checkpoint restores the same state, or is recognised as invalid."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.naive_state import HistoryDice, held, naive_fold, told
from support.streaming_rig import FakeBroker
from swim_server.logs import get_logger
from swim_server.protocol.event_id import EventId
from swim_server.state import checkpoint
from swim_server.state.kinds import BUILT_IN, declare
from swim_server.state.loading import load_world
from swim_server.state.world import World

LOG = get_logger("test")


def test_checkpoint_gives_the_same_world_back() -> None:
    dice, folded = HistoryDice(1), World()
    for _ in range(200):
        folded.fold(dice.event())
    restored = World()
    assert checkpoint.decode(checkpoint.encode(folded, "a"), "a").restore_into(restored) == []
    assert (held(restored), restored.as_of) == (held(folded), folded.as_of)
    for _ in range(50):
        event = dice.event()
        folded.fold(event)
        restored.fold(event)
    assert held(restored) == held(folded)
    assert restored.flights.touched_ms == folded.flights.touched_ms


def test_damaged_or_foreign_checkpoint_is_none() -> None:
    good = checkpoint.encode(World(), "a")
    for bad in (b"", good[:-1], good + b"x", b"x" + good, good[:20] + bytes([good[20] ^ 1]) + good[21:]):
        with pytest.raises(checkpoint.InvalidCheckpoint, match="cut off"):
            checkpoint.decode(bad, "a")
    with pytest.raises(checkpoint.InvalidCheckpoint, match="another history"):
        checkpoint.decode(good, "b")


@pytest.mark.parametrize("seed", range(6))
async def test_start_from_any_checkpoint_is_the_fold_of_history(tmp_path: Path, seed: int) -> None:
    """With an older and a newer checkpoint, one damaged, one from the future, or none."""
    dice, broker, at = HistoryDice(seed), FakeBroker(), World()
    history = []
    paths = [tmp_path / "older", tmp_path / "newer", tmp_path / "damaged", tmp_path / "future", tmp_path / "none"]
    for number in range(300):
        event = broker.store(dice.new_event())
        history.append(told(event))
        at.fold(event)
        if number in (100, 250):
            (paths[0] if number == 100 else paths[1]).write_bytes(checkpoint.encode(at, "e"))
    paths[2].write_bytes(checkpoint.encode(at, "e")[:-3])
    newer = World()
    newer.as_of = EventId(at.as_of.milliseconds + 1, 0)
    paths[3].write_bytes(checkpoint.encode(newer, "e"))
    for chosen in (paths, paths[2:], [paths[0]]):
        found = await load_world(BUILT_IN, broker, chosen, epoch="e", until=at.as_of, log=LOG)
        assert held(found) == naive_fold(history)
        assert found.as_of == at.as_of
    await asyncio.sleep(0)


async def test_kind_that_is_new_is_folded_from_all_of_history(tmp_path: Path) -> None:
    dice, broker, at = HistoryDice(3), FakeBroker(), World()
    for _ in range(100):
        at.fold(broker.store(dice.new_event()))
    path = tmp_path / "state"
    path.write_bytes(checkpoint.encode(at, "e"))
    for _ in range(20):
        at.fold(broker.store(dice.new_event()))
    times = declare("edcts", "cdm", ["text"], [])
    found = await load_world((*BUILT_IN, times), broker, [path], epoch="e", until=at.as_of, log=LOG)
    assert held(found) == {**held(at), "edcts": held(found)["edcts"]}
    cdm = [told(event) for event in broker.events if event.type == "cdm.edct"]
    assert {key: entry["updated_at"] for key, entry in held(found)["edcts"].items()} == {
        data["text"]: timestamp for _, timestamp, data in cdm
    }
