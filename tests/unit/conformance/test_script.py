"""Scripts and scenarios: what is wrong in one is named with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from swim_conformance.scenario import SCENARIOS, Scenario, fill, load
from swim_conformance.script import STEPS, Script, ScriptError

RULES = SCENARIOS.parent / "README.md"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ([], "script: must be an object, got list"),
        ({"conections": []}, "script: unknown field 'conections'"),
        ({"connections": {}}, "script.connections: must be a list of lists of steps, got dict"),
        ({"connections": [{"close": 1012}]}, "script.connections[0]: must be a list of steps, got dict"),
        ({"connections": [[{"publsh": 1}]]}, "script.connections[0][0]: unknown step 'publsh'; steps are: refuse"),
        ({"connections": [["cut"]]}, 'script.connections[0][0]: a step is an object such as {"close": 1012}'),
        ({"connections": [[{"close": 1012, "type": "x"}]]}, "'type' can't stand beside 'close'; reason can"),
        ({"connections": [[{"greet": True}, {"refuse": 503}]]}, "must be the first step"),
        ({"connections": [[{"cut": True}, {"publish": 1}]]}, "nothing can follow 'cut'"),
    ],
)
def test_script_that_cannot_be_played_is_told_with_its_place(script: Any, told: str) -> None:
    with pytest.raises(ScriptError) as raised:
        Script.read(script)
    assert told in str(raised.value)


def test_file_that_is_no_json_is_told(tmp_path: Path) -> None:
    file = tmp_path / "script.json"
    file.write_text("{", "utf-8")
    with pytest.raises(ScriptError, match="not JSON"):
        Script.load(file)


def test_scenario_that_expects_nothing_is_refused() -> None:
    with pytest.raises(ScriptError, match="expects nothing, so it can't fail"):
        Scenario.read({"name": "x", "server": {}}, "x")


def test_variant_fills_in_its_values_with_their_kind() -> None:
    assert fill({"a": ["$code", "close ${code}"]}, {"code": 1012}) == {"a": [1012, "close 1012"]}


def test_every_scenario_names_rules_that_exist_and_every_rule_is_checked() -> None:
    page = RULES.read_text("utf-8")
    numbered = {int(line.split(".")[0]) for line in page.splitlines() if line.split(".")[0].isdigit()}
    named = {rule for scenario in load() for rule in scenario.rules}
    assert named == numbered
    assert all(scenario.rules and scenario.about for scenario in load())


def test_every_step_is_explained() -> None:
    page = RULES.read_text("utf-8")
    assert [name for name in STEPS if f"`{name}`" not in page] == []


def test_scenarios_are_data_that_any_language_can_read() -> None:
    for path in SCENARIOS.glob("*.json"):
        assert isinstance(json.loads(path.read_text("utf-8")), list)
