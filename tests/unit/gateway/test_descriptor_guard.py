"""Accepting stops before descriptors run out, is logged once, and resumes when there is room."""

from __future__ import annotations

from typing import Any

import pytest
from support.gateway_rig import Log
from swim_server.gateway.descriptor_guard import DescriptorGuard


class Gate:
    """Listeners that only tell whether they accept."""

    is_open = True

    def hold_back(self) -> None:
        self.is_open = False

    async def accept_again(self) -> None:
        self.is_open = True


class AtOnce:
    """Tasks that have ended when they are started."""

    def start(self, work: Any) -> None:
        with pytest.raises(StopIteration):
            work.send(None)


def guard(limit: int, reserve: int = 200) -> tuple[DescriptorGuard, Gate, Log]:
    gate, log = Gate(), Log()
    made = DescriptorGuard(gate, AtOnce(), log, reserve=reserve, limit=lambda: limit)  # type: ignore[arg-type]  # only what the guard calls
    return made, gate, log


def test_accepting_stops_before_the_reserve_and_is_told_once() -> None:
    made, gate, log = guard(1000)
    for count in range(1, 800):
        made.counted(count)
    assert gate.is_open
    for count in (800, 801, 799, 800):
        made.counted(count)
    assert not gate.is_open
    ((text, fields),) = log.lines
    assert "LimitNOFILE" in text
    assert fields == {"connections": 800, "limit": 1000}


def test_accepting_goes_on_when_there_is_room_again() -> None:
    made, gate, _ = guard(1000)
    made.counted(800)
    made.counted(761)
    assert not gate.is_open
    made.counted(760)
    assert gate.is_open


def test_of_few_descriptors_a_quarter_is_reserved() -> None:
    assert guard(256)[0].max_connections == 192
