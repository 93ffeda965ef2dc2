"""The script that decides which of two positions of a field is right."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "server/tools/airport_corrections.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("airport_corrections", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = path
    return module


def witnesses(script: ModuleType, **known: object) -> tuple[list[str], list[str]]:
    """EBBR as on record and as in the other table, and whatever else is known of it."""
    sources = script.Sources(
        airportsdata={"EBBR": script.Position(50.5405, 4.2904)},
        vatspy={"EBBR": script.Position(50.90139, 4.48444)},
        ourairports=known.get("ourairports", {}),
        parked=known.get("parked", {}),
    )
    found: tuple[list[str], list[str]] = script.witnesses("EBBR", sources)
    return found


def test_digits_that_are_minutes_and_seconds_are_a_witness(script: ModuleType) -> None:
    assert script.from_minutes(script.Position(50.5405, 4.2904)) == pytest.approx((50.90139, 4.48444), abs=1e-4)
    assert script.from_minutes(script.Position(-33.9461, 151.1772)) is None
    assert witnesses(script) == (["minutes"], [])


def test_where_aircraft_park_is_a_witness(script: ModuleType) -> None:
    there, here = script.Position(50.9, 4.48), script.Position(50.54, 4.29)
    assert witnesses(script, parked={"EBBR": [there, there, here]}) == (["parked", "minutes"], [])
    assert witnesses(script, parked={"EBBR": [there, here, here]}) == (["minutes"], ["parked"])
    assert witnesses(script, parked={"EBBR": [script.Position(0, 0)]}) == (["minutes"], [])


def test_a_third_table_is_a_witness_for_whom_it_agrees_with(script: ModuleType) -> None:
    assert witnesses(script, ourairports={"EBBR": (script.Position(50.9, 4.48), 184.0)}) == (
        ["ourairports", "minutes"],
        [],
    )
    assert witnesses(script, ourairports={"EBBR": (script.Position(50.54, 4.29), 184.0)}) == (
        ["minutes"],
        ["ourairports"],
    )
    assert witnesses(script, ourairports={"EBBR": (script.Position(40, 4), 184.0)}) == (["minutes"], [])


def test_nothing_known_corrects_nothing(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    fields = {"XAAA": script.Position(10.7, 20.7)}, {"XAAA": script.Position(11.7, 20.7)}
    script.write(script.Sources(*fields, {}, {}))
    written = capsys.readouterr().out
    assert "0 are corrected here, 0 are confirmed as they are, 1 stay" in written
    assert written.endswith("code,latitude,longitude,elevation_ft,source,witnesses\n")
    script.write(script.Sources(*fields, {"XAAA": (script.Position(11.7, 20.7), 77.0)}, {}))
    assert capsys.readouterr().out.endswith("\nXAAA,11.70000,20.70000,77,ourairports,ourairports\n")
