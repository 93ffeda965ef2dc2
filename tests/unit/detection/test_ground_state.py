"""Departures and arrivals, as flights: what each report shows, and what has to be announced."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from support.feed import AIRFIELDS, NOON_MS, Network, beside, pilot, plan, positions, stamp
from swim_server.detection.network_state import GroundState


class Seen(NamedTuple):
    """One report: seconds after noon, NM from the field, feet over the field's elevation on record, knots."""

    at: float
    away_nm: float
    height_ft: float
    kts: float
    field: str = ""
    """Empty: EDDF in departures, EDDM in arrivals."""


class Scenario(NamedTuple):
    name: str
    reports: list[Seen]
    expected: list[tuple[str, float]]
    """Type and the second of the report that it is dated to."""
    dep: str | None = "EDDF"
    arr: str | None = "EDDM"
    aircraft: str = "A320"
    sea_level_ft: float | None = None
    """Altitudes are over this; None: over the field."""


GATE = [Seen(0, 0.5, 0, 0), Seen(15, 0.5, 0, 0)]


def cruise(at: float) -> Seen:
    return Seen(at, 60, 30_000, 430)


def final(at: float, field: str = "EDDM") -> list[Seen]:
    """Flying, then three minutes later on a 5-mile final."""
    return [
        Seen(at - 30, 8.0, 2400, 160, field),
        Seen(at - 15, 7.3, 2000, 150, field),
        Seen(at, 4.2, 1300, 140, field),
    ]


DEPARTURES = [
    Scenario(
        "a slow climb that is seen once: no runway rises so",
        [*GATE, Seen(30, 0.6, 3, 42), Seen(45, 0.8, 128, 43)],
        [("departed", 45)],
        aircraft="GLID",
    ),
    Scenario(
        "a bump in the scenery under a taxi",
        [*GATE, Seen(30, 0.6, 0, 28), Seen(45, 0.7, 128, 27), Seen(60, 0.8, 0, 28)],
        [],
        aircraft="GLID",
    ),
    Scenario(
        "from the water, where no field is listed, first seen as it begins to move",
        [Seen(0, 30, 0, 0), Seen(15, 30.01, 0, 30), Seen(30, 30.2, 110, 53), Seen(45, 30.5, 285, 54)],
        [("departed", 30)],
        aircraft="DHC2",
    ),
    Scenario(
        "a glider that was paused in flight goes on",
        [Seen(0, 30, 2000, 0), Seen(15, 30.2, 2000, 52), Seen(30, 30.4, 2120, 53), Seen(45, 30.6, 2240, 54)],
        [],
        aircraft="GLID",
    ),
    Scenario(
        "from the water, where no field is listed, first seen on the way to the take-off",
        [Seen(0, 30, 0, 9), Seen(15, 30, 0, 12), Seen(30, 30.1, 2, 40), Seen(45, 30.5, 350, 75), Seen(60, 31, 800, 80)],
        [("departed", 45)],
    ),
    Scenario(
        "an ordinary take-off",
        [*GATE, Seen(30, 0.5, 0, 18), Seen(45, 0.6, 0, 95), Seen(60, 1.2, 250, 155), Seen(75, 1.9, 900, 165)],
        [("departed", 60)],
    ),
    Scenario(
        "low after take-off: the second report agrees and the first one's time counts",
        [*GATE, Seen(30, 0.6, 90, 110), Seen(45, 1.2, 95, 115)],
        [("departed", 30)],
    ),
    Scenario(
        "in the air since the last report, but nearly a minute of reports is missing",
        [*GATE, Seen(105, 2.2, 1800, 170)],
        [("departed", 105)],
    ),
    Scenario("a taxi at 45 kt", [*GATE, *(Seen(15 * n, 0.5 + 0.19 * n, 0, 45) for n in range(2, 9))], []),
    Scenario(
        "a fast taxi and backtrack that crosses 50 kt down, up and down",
        [*GATE, *(Seen(15 * n, 0.6, 0, kts) for n, kts in enumerate((47, 62, 44, 58, 49, 66, 20, 0), 2))],
        [],
    ),
    Scenario(
        "a taxi uphill by 140 ft",
        [*GATE, *(Seen(15 * n, 0.5 + 0.1 * n, 14 * n, 25) for n in range(2, 11))],
        [],
    ),
    Scenario(
        "a rejected take-off",
        [*GATE, Seen(30, 0.6, 0, 60), Seen(45, 1.0, 8, 138), Seen(60, 1.4, 12, 70), Seen(75, 1.5, 12, 15)],
        [],
    ),
    Scenario(
        "a rejected take-off, then a real one",
        [
            *GATE,
            Seen(30, 0.8, 4, 120),
            Seen(45, 1.2, 6, 20),
            Seen(60, 1.2, 6, 5),
            Seen(75, 1.5, 10, 130),
            Seen(90, 2.2, 600, 160),
        ],
        [("departed", 90)],
    ),
    Scenario(
        "first seen in the air",
        [Seen(0, 3, 2500, 190), Seen(15, 4, 3300, 210), Seen(30, 5, 4100, 240)],
        [],
    ),
    Scenario(
        "first seen on the take-off roll",
        [Seen(0, 0.2, 2, 88), Seen(15, 0.7, 4, 149), Seen(30, 1.4, 800, 165)],
        [("departed", 30)],
    ),
    Scenario(
        "the climb goes on: announced once",
        [*GATE, *(Seen(15 * n, 0.7 * n, 500 * n, 160 + 5 * n) for n in range(2, 20))],
        [("departed", 30)],
    ),
    Scenario(
        "a light aircraft that climbs at 48 kt over the ground",
        [*GATE, Seen(30, 0.6, 5, 40), Seen(45, 0.8, 140, 48), Seen(60, 1.0, 260, 48), Seen(75, 1.2, 380, 47)],
        [("departed", 45)],
        aircraft="P06T",
    ),
    Scenario(
        "a helicopter that lifts off slowly and hovers away",
        [*GATE, Seen(30, 0.5, 160, 5), Seen(45, 0.5, 200, 15), Seen(60, 0.6, 300, 45)],
        [("departed", 30)],
        aircraft="EC35",
    ),
    Scenario(
        "a helicopter that taxis in the air at 20 ft",
        [*GATE, *(Seen(15 * n, 0.5 + 0.05 * n, 20, 15) for n in range(2, 9)), Seen(150, 0.9, 0, 0)],
        [],
        aircraft="R44",
    ),
    Scenario(
        "a bump in the scenery for one report",
        [*GATE, Seen(30, 0.5, 250, 0), Seen(45, 0.5, 0, 0), Seen(60, 0.5, 0, 0)],
        [],
    ),
    Scenario(
        "an aircraft that is placed at sea level until the scenery is loaded",
        [Seen(0, 0.5, -5434, 0, "KDEN"), Seen(15, 0.5, 0, 0, "KDEN"), Seen(30, 0.5, 0, 12, "KDEN")],
        [],
        dep="KDEN",
    ),
    Scenario(
        "a take-off in Denver",
        [Seen(0, 1, -60, 0, "KDEN"), Seen(15, 1, -60, 20, "KDEN"), Seen(60, 2, 900, 180, "KDEN")],
        [("departed", 60)],
        dep="KDEN",
    ),
    Scenario(
        "a take-off in Bogota, 8,361 ft up",
        [Seen(0, 0.5, 5, 0, "SKBO"), Seen(15, 0.8, 5, 150, "SKBO"), Seen(30, 1.5, 250, 185, "SKBO")],
        [("departed", 30)],
        dep="SKBO",
    ),
    Scenario(
        "slower than any aeroplane flies, on water that nobody has listed, and gone after that",
        [Seen(0, 31, 900, 60), Seen(15, 30.7, 600, 60), Seen(30, 30.5, 597, 15)],
        [("arrived", 30)],
        aircraft="DHC2",
    ),
    Scenario(
        "a roll on water that nobody has listed, its speed reported wrongly",
        [
            Seen(0, 31, 900, 60),
            Seen(15, 30.7, 600, 60),
            Seen(30, 30.5, 597, 44),
            Seen(45, 30.43, 597, 58),
            Seen(60, 30.36, 597, 49),
        ],
        [("arrived", 60)],
        aircraft="DHC2",
    ),
    Scenario(
        "slow and level against the wind: it comes on as fast as it says",
        [Seen(0, 31, 900, 60), *(Seen(15 * n, 31 - 0.19 * n, 900, 46) for n in range(1, 9))],
        [],
        aircraft="DHC2",
    ),
    Scenario(
        "onto a platform at sea",
        [
            Seen(0, 30.2, 400, 57),
            Seen(15, 30.1, 300, 26),
            Seen(30, 30.05, 250, 12),
            Seen(45, 30.05, 170, 0),
            Seen(60, 30.05, 120, 0),
            Seen(75, 30.05, 120, 0),
        ],
        [("arrived", 60)],
        aircraft="S76",
        arr="ZZZZ",
        sea_level_ft=0,
    ),
    Scenario(
        "a helicopter that is paused low over the sea",
        [Seen(0, 30.2, 400, 57), Seen(15, 30.1, 350, 26), *(Seen(15 * n, 30.05, 327, 0) for n in range(2, 12))],
        [],
        aircraft="S76",
        arr="ZZZZ",
        sea_level_ft=0,
    ),
    Scenario(
        "onto a platform while nothing was heard of it",
        [Seen(0, 32, 900, 57), Seen(225, 30, 116, 0), Seen(240, 30, 116, 0)],
        [("arrived", 225)],
        aircraft="S76",
        arr="ZZZZ",
        sea_level_ft=0,
    ),
    Scenario(
        "a field whose elevation on record is 1,600 ft wrong",
        [
            Seen(0, 0.3, 1638, 0, "LRBV"),
            Seen(15, 0.3, 1638, 0, "LRBV"),
            Seen(30, 0.5, 1640, 20, "LRBV"),
            Seen(45, 0.8, 1642, 120, "LRBV"),
            Seen(60, 1.5, 2000, 150, "LRBV"),
        ],
        [("departed", 60)],
        dep="LRBV",
    ),
    Scenario(
        "the aircraft is set from the gate to the cruise",
        [*GATE, cruise(30), cruise(45), cruise(60)],
        [],
    ),
    Scenario(
        "the aircraft is set from the gate of its destination back to a 5-mile final",
        [Seen(0, 0.8, 9, 0), Seen(15, 0.8, 9, 0), Seen(107, 5.6, 1368, 148), Seen(122, 5.0, 1142, 146)],
        [],
        dep="KATL",
        arr="EDDF",
    ),
    Scenario(
        "a simulator that was paused high in the air goes on",
        [Seen(0, 25, 8000, 0), Seen(15, 25, 8000, 0), Seen(30, 26, 8300, 280), Seen(45, 27, 8600, 290)],
        [],
    ),
    Scenario(
        "no plan at all",
        [*GATE, Seen(45, 0.9, 0, 120), Seen(60, 1.5, 500, 150)],
        [("departed", 60)],
        dep=None,
        arr=None,
    ),
    Scenario(
        "an aerodrome that nobody knows filed as departure",
        [*GATE, Seen(45, 0.9, 0, 120), Seen(60, 1.5, 500, 150)],
        [("departed", 60)],
        dep="ZZZZ",
    ),
    Scenario(
        "a departure filed with three letters",
        [Seen(0, 0.3, 0, 0, "KATL"), Seen(15, 0.3, 0, 30, "KATL"), Seen(60, 1.3, 700, 160, "KATL")],
        [("departed", 60)],
        dep="ATL",
    ),
    Scenario(
        "far from any field, seen standing before",
        [Seen(0, 40, 100, 0), Seen(15, 40, 100, 0), Seen(30, 40.1, 150, 70), Seen(45, 40.4, 500, 80)],
        [("departed", 45)],
        aircraft="H60",
    ),
    Scenario(
        "nothing rolls at 200 kt, however low it is",
        [*GATE, Seen(60, 0.8, 0, 195), Seen(75, 1.6, 20, 230), Seen(90, 2.6, 30, 260)],
        [("departed", 60)],
        aircraft="F16",
    ),
]

ARRIVALS = [
    Scenario(
        "an ordinary landing",
        [*final(0), Seen(45, 2.5, 700, 138), Seen(105, 0.2, 5, 110), Seen(120, 0.1, 0, 60), Seen(135, 0.3, 0, 25)],
        [("arrived", 135)],
        dep="EDDF",
    ),
    Scenario(
        "the first report on the ground is at the gate",
        [*final(0), Seen(420, 0.7, -10, 0)],
        [("arrived", 420)],
    ),
    Scenario(
        "a roll-out at 38 kt after a report of 78 kt on the runway",
        [*final(0), Seen(95, 0.1, -14, 78), Seen(110, 0.3, -22, 38)],
        [("arrived", 110)],
    ),
    Scenario(
        "a taxi in that never gets below 45 kt: the second report agrees, the first one's time counts",
        [*final(0), Seen(95, 0.1, 0, 110), Seen(110, 0.3, 0, 48), Seen(125, 0.5, 0, 47)],
        [("arrived", 110)],
    ),
    Scenario(
        "the taxi in goes on: announced once",
        [*final(0), Seen(95, 0.1, 0, 110), *(Seen(110 + 15 * n, 0.5, 0, 18) for n in range(9))],
        [("arrived", 110)],
    ),
    Scenario(
        "a go-around",
        [*final(0), Seen(60, 1.0, 250, 138), Seen(75, 0.3, 180, 140), Seen(90, 0.3, 600, 150), Seen(105, 1, 1500, 160)],
        [],
    ),
    Scenario(
        "a low pass along the runway",
        [*final(0), Seen(60, 0.6, 40, 140), Seen(75, 0.0, 30, 142), Seen(90, 0.6, 200, 150), Seen(105, 1, 900, 160)],
        [],
    ),
    Scenario(
        "a touch-and-go",
        [*final(0), Seen(75, 0.3, 0, 118), Seen(90, 0.2, 0, 105), Seen(105, 0.8, 300, 140), Seen(120, 1, 800, 150)],
        [],
    ),
    Scenario(
        "a touch-and-go of a light aircraft",
        [
            Seen(0, 2, 800, 80),
            Seen(15, 1, 400, 70),
            Seen(30, 0.2, 3, 58),
            Seen(45, 0.1, 60, 62),
            Seen(60, 0.4, 200, 68),
            Seen(75, 0.8, 420, 70),
        ],
        [],
        dep="EDDM",
        arr="EDDM",
        aircraft="C172",
    ),
    Scenario(
        "a touch-and-go, then a full stop",
        [
            *final(0),
            Seen(75, 0.3, 0, 118),
            Seen(105, 0.8, 300, 140),
            Seen(300, 4, 1200, 150),
            Seen(375, 0.2, 0, 100),
            Seen(400, 0.3, 0, 12),
        ],
        [("arrived", 400)],
    ),
    Scenario(
        "a slow aircraft in a strong headwind whose speed crosses 50 kt, 800 ft over the field",
        [Seen(15 * n, 3.8 - 0.2 * n, 890 - 20 * n, kts, "EGJB") for n, kts in enumerate((47, 44, 51, 48, 46, 52))],
        [],
        dep="EDDF",
        arr="EGJB",
        aircraft="P06T",
    ),
    Scenario(
        "a landing 6 NM from the filed destination",
        [*final(0), Seen(90, 6.0, 0, 20), Seen(105, 6.0, 0, 0), Seen(120, 6.0, 0, 0)],
        [("arrived", 90)],
    ),
    Scenario(
        "a landing 4 NM from the reference point of the destination",
        [*final(0), Seen(120, 4.0, 20, 20), Seen(135, 4.0, 20, 0)],
        [("arrived", 120)],
    ),
    Scenario(
        "a diversion",
        [*final(0, "KATL"), Seen(60, 0.3, 0, 100, "KATL"), Seen(75, 0.2, 0, 20, "KATL"), Seen(90, 0.2, 0, 0, "KATL")],
        [("arrived", 75)],
        dep="KDEN",
    ),
    Scenario(
        "no plan, so no destination",
        [*final(0), Seen(90, 0.1, 0, 20), Seen(105, 0.1, 0, 0)],
        [],
        dep=None,
        arr=None,
    ),
    Scenario(
        "a strip that nobody has listed, filed under a code that nobody has listed",
        [Seen(0, 30, 900, 110), Seen(15, 30.4, 300, 90), Seen(30, 30.6, 10, 28), Seen(45, 30.6, 10, 12)],
        [("arrived", 30)],
        arr="ZZZZ",
    ),
    Scenario(
        "a strip that nobody has listed, far from the destination",
        [Seen(0, 30, 900, 110), Seen(15, 30.4, 300, 90), Seen(30, 30.6, 10, 28), Seen(45, 30.6, 10, 12)],
        [("arrived", 30)],
    ),
    Scenario(
        "a simulator that is paused where nobody has listed a field",
        [Seen(0, 30, 900, 110), Seen(15, 30.4, 300, 0), Seen(30, 30.4, 300, 0), Seen(300, 30.4, 300, 0)],
        [],
        arr="ZZZZ",
    ),
    Scenario(
        "an altimeter that is a thousand feet wrong",
        [*final(0), Seen(60, 0.1, -1000, 52), Seen(75, 0.1, -1000, 35), Seen(90, 0.1, -1000, 0)],
        [("arrived", 60)],
    ),
    Scenario(
        "a destination that nobody knows",
        [*final(0), Seen(90, 0.1, 0, 20), Seen(105, 0.1, 0, 0)],
        [("arrived", 90)],
        arr="VHHX",
    ),
    Scenario(
        "first seen on the landing roll",
        [Seen(0, 0.1, 8, 120), Seen(15, 0.1, 7, 44), Seen(30, 0.3, 7, 20), Seen(45, 0.4, 7, 20)],
        [],
        dep="EDDF",
        arr="EDDM",
    ),
    Scenario(
        "first seen 250 ft over the threshold, then landed",
        [Seen(0, 0.9, 250, 144), Seen(15, 0.4, 62, 144), Seen(30, 0.1, 2, 109), Seen(60, 0.3, 2, 15)],
        [("arrived", 60)],
    ),
    Scenario("first seen at the gate of the destination", [Seen(0, 0.5, 0, 0), Seen(15, 0.5, 0, 0)], []),
    Scenario(
        "set from the cruise to the gate of the destination",
        [Seen(0, 60, 30_000, 430), Seen(15, 58.2, 30_000, 430), Seen(30, 0.5, 0, 0), Seen(45, 0.5, 0, 0)],
        [],
    ),
    Scenario(
        "set from the cruise to a final, then landed",
        [
            Seen(0, 90, 30_000, 430),
            Seen(15, 88.2, 30_000, 430),
            Seen(30, 3, 250, 140),
            Seen(90, 0.3, 0, 80),
            Seen(105, 0.3, 0, 20),
        ],
        [("arrived", 105)],
    ),
    Scenario(
        "a helicopter that hovers over its destination before it sets down",
        [
            Seen(0, 2, 700, 90),
            Seen(15, 1, 500, 60),
            Seen(30, 0.4, 300, 20),
            Seen(45, 0.3, 280, 5),
            Seen(60, 0.3, 150, 3),
            Seen(75, 0.3, 5, 0),
        ],
        [("arrived", 75)],
        aircraft="EC45",
    ),
    Scenario(
        "a helicopter that looks at the field, slow and low, and flies on",
        [Seen(0, 1, 500, 60), Seen(15, 0.3, 110, 25), Seen(30, 0.2, 100, 20), Seen(45, 0.4, 300, 60)],
        [],
        aircraft="B06",
    ),
    Scenario(
        "a helicopter first seen as it comes down slowly",
        [Seen(0, 0.3, 230, 21), Seen(15, 0.2, 180, 12), Seen(30, 0.2, 65, 0), Seen(45, 0.2, 2, 0)],
        [("arrived", 45)],
        aircraft="EC45",
    ),
    Scenario(
        "a field whose elevation on record is 1,600 ft too low",
        [
            Seen(0, 4, 3000, 140, "LRBV"),
            Seen(60, 1, 2000, 130, "LRBV"),
            Seen(90, 0.2, 1640, 60, "LRBV"),
            Seen(105, 0.3, 1640, 22, "LRBV"),
            Seen(120, 0.4, 1638, 18, "LRBV"),
            Seen(135, 0.4, 1638, 0, "LRBV"),
        ],
        [("arrived", 105)],
        arr="LRBV",
    ),
    Scenario(
        "a simulator that is paused on final",
        [
            Seen(0, 3, 1000, 140),
            Seen(15, 2.6, 850, 0),
            Seen(30, 2.6, 850, 0),
            Seen(45, 2.6, 850, 0),
            Seen(60, 2.2, 700, 140),
        ],
        [],
    ),
    Scenario(
        "a whole hop: off, on, and off again",
        [
            Seen(0, 0.5, 0, 0, "EDDF"),
            Seen(15, 0.5, 0, 0, "EDDF"),
            Seen(60, 1.2, 400, 150, "EDDF"),
            Seen(75, 1.9, 900, 160, "EDDF"),
            Seen(2775, 3, 900, 140, "EDDM"),
            Seen(2850, 0.2, 0, 60, "EDDM"),
            Seen(2865, 0.2, 0, 20, "EDDM"),
            Seen(3200, 0.4, 0, 0, "EDDM"),
            Seen(3500, 0.4, 0, 15, "EDDM"),
            Seen(3590, 1.5, 800, 160, "EDDM"),
        ],
        [("departed", 60), ("arrived", 2865), ("departed", 3590)],
    ),
]


def run(scenario: Scenario, home: str) -> list[tuple[str, float]]:
    """Let the network see the reports one by one; give what was announced, and when it is said to have been."""
    network = Network()
    for seen in scenario.reports:
        code = seen.field or home
        field = AIRFIELDS.get(code)
        assert field is not None
        filed = None if scenario.dep is scenario.arr is None else plan(scenario.dep, scenario.arr, scenario.aircraft)
        aircraft = pilot(
            seen.at,
            **beside(code, seen.away_nm),
            altitude=(field.elevation_ft if scenario.sea_level_ft is None else scenario.sea_level_ft) + seen.height_ft,
            groundspeed=seen.kts,
            flight_plan=filed,
        )
        network.see(seen.at, [aircraft])
    moved = [event for event in network.events if event.type in ("flight.departed", "flight.arrived")]
    assert all(event.timestamp_ms is not None for event in moved)
    return [(event.type.removeprefix("flight."), ((event.timestamp_ms or 0) - NOON_MS) / 1000) for event in moved]


@pytest.mark.parametrize("scenario", DEPARTURES, ids=lambda scenario: scenario.name)
def test_departure(scenario: Scenario) -> None:
    assert run(scenario, "EDDF") == scenario.expected


@pytest.mark.parametrize("scenario", ARRIVALS, ids=lambda scenario: scenario.name)
def test_arrival(scenario: Scenario) -> None:
    assert run(scenario, "EDDM") == scenario.expected


def test_departed_carries_the_time_of_its_report_and_where_the_flight_is() -> None:
    network = Network()
    network.see(0, [pilot(0)])
    network.see(15, [pilot(13.5, **beside("EDDF", 0.5), altitude=1200, groundspeed=160)])
    (event,) = [event for event in network.events if event.type == "flight.departed"]
    assert event.data["off_utc"] == "2024-11-21T12:00:13.500Z"
    assert event.timestamp_ms == NOON_MS + 13_500
    assert (event.data["dep"], event.data["arr"]) == ("EDDF", "EDDM")
    assert (event.data["altitude_ft"], event.data["groundspeed_kts"], event.data["heading_deg"]) == (1200, 160, 250)
    assert event.data["current_artcc"] is None


def test_a_frozen_aircraft_is_no_second_report() -> None:
    """Doubtful once, then the same report again and again: nothing has agreed."""
    network = Network()
    network.see(0, [pilot(0)])
    hover = {**beside("EDDF", 0.2), "altitude": 364 + 95, "groundspeed": 100}
    for at in (15, 30, 45, 60):
        network.see(at, [pilot(14, **hover)])
    assert [event.type for event in network.events if event.type == "flight.departed"] == []
    network.see(75, [pilot(74, **{**hover, "altitude": 364 + 110})])
    assert [event.type for event in network.events if event.type == "flight.departed"] == ["flight.departed"]


def test_a_report_older_than_the_last_is_no_evidence() -> None:
    network = Network()
    network.see(0, [pilot(-10)])
    network.see(15, [pilot(-40, altitude=3000, groundspeed=200, **beside("EDDF", 1))])
    assert network.network_state.flights["1000001 DLH1AB"].ground_state is GroundState.GROUND
    assert network.events == []


def test_a_report_without_altitude_changes_no_footing() -> None:
    network = Network()
    network.see(0, [pilot(0)])
    network.see(15, [pilot(15, altitude=None, groundspeed=120, **beside("EDDF", 0.4))])
    assert network.network_state.flights["1000001 DLH1AB"].ground_state is GroundState.GROUND


def test_a_filed_destination_that_changes_on_final_is_the_one_that_counts() -> None:
    network = Network()
    on_final = {**beside("EDDM", 3), "altitude": 2500, "groundspeed": 140}
    network.see(0, [pilot(0, **on_final, flight_plan=plan("KATL", "EDDF"))])
    network.see(15, [pilot(15, **on_final, flight_plan=plan("KATL", "EDDM"))])
    network.see(90, [pilot(90, **beside("EDDM", 0.3), altitude=1487, groundspeed=15, flight_plan=plan("KATL", "EDDM"))])
    assert [event.data["arr"] for event in network.events if event.type == "flight.arrived"] == ["EDDM"]


def test_disconnected_in_flight_and_back_on_final_arrives() -> None:
    network = Network()
    network.see(0, [pilot(0, **beside("EDDM", 20), altitude=9000, groundspeed=280)])
    network.see(15, [])
    network.see(60, [pilot(58, **beside("EDDM", 16), altitude=7000, groundspeed=270, logon_time=stamp(40))])
    network.see(400, [pilot(399, **beside("EDDM", 0.5), altitude=1490, groundspeed=10, logon_time=stamp(40))])
    assert [event.type for event in network.events if event.type != "flight.positions"] == ["flight.arrived"]


def test_a_simulator_that_has_yet_to_load_is_nowhere() -> None:
    """Both degrees nought: no position, no jump, no take-off."""
    network = Network()
    nowhere = {"latitude": 0.0, "longitude": 0.0, "altitude": 0, "groundspeed": 0}
    network.see(0, [pilot(0, **nowhere)])
    network.see(15, [pilot(15)])
    network.see(30, [pilot(30)])
    network.see(45, [pilot(45, **nowhere)])
    network.see(60, [pilot(60, **beside("EDDF", 1), altitude=1500, groundspeed=150)])
    assert [event.type for event in network.events if event.type != "flight.positions"] == [
        "flight.updated",
        "flight.departed",
    ]
    assert all(position["latitude"] != 0 for position in positions(network.events))
