"""Flights found by their airports are those that are found when all are looked at, whatever has come and gone."""

from __future__ import annotations

import random
from typing import Any

import pytest
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import NewEvent, stamp
from swim_server.protocol.filters import EMPTY, merge
from swim_server.state.kinds import FLIGHTS
from swim_server.state.world import World
from swim_server.streaming.mirror.airport_index import AirportIndex
from swim_server.streaming.mirror.membership import passing

CODES = ("KJFK", "KLAX", "EGLL", "EGSS", " kjfk ", "EG**", "", None, 7, "K*")
LISTS: tuple[Any, ...] = (["KJFK", "EG**"], "KLAX, egll", [], None, [7, None])


@pytest.mark.parametrize("seed", range(20))
def test_index_finds_what_looking_at_all_finds(seed: int) -> None:
    dice, world = random.Random(seed), World()
    index = AirportIndex(world.flights)
    for number in range(300):
        uid, kind = dice.randrange(12), dice.choice(("created", "updated", "arrived", "deleted"))
        data: dict[str, Any] = {
            field: dice.choice(CODES) for field in ("dep", "arr", "arrived_at") if dice.random() < 0.7
        }
        if dice.random() < 0.2:
            data["airports"] = dice.choice(LISTS)
        event = NewEvent(type=f"flight.{kind}", data={"flight_uid": uid, "callsign": f"DAL{uid}", **data})
        for change in world.fold(stamp(event, EventId(1, number))):
            if change.kind is FLIGHTS:
                index.touch(change.keys)
        if dice.random() < 0.3:
            filters = merge(EMPTY, {"airports": dice.sample(["KJFK", "KLAX", "EGLL", "EGSS", "RJTT"], 2)})
            found = list(passing(filters, world.flights, index))
            assert len(found) == len(set(found))
            assert set(found) == set(passing(filters, world.flights)), (seed, number, filters)
