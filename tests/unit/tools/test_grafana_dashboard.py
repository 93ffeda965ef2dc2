"""The Grafana dashboard is what its tool generates, and its panels don't overlap."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "server/tools/grafana_dashboard.py"


@pytest.fixture(scope="module")
def grafana_dashboard() -> ModuleType:
    spec = importlib.util.spec_from_file_location("grafana_dashboard", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_dashboard_is_what_the_tool_makes(grafana_dashboard: ModuleType) -> None:
    assert grafana_dashboard.TARGET.read_text("utf-8") == grafana_dashboard.to_text()


def test_panels_lie_beside_each_other_and_have_numbers_of_their_own(grafana_dashboard: ModuleType) -> None:
    panels = json.loads(grafana_dashboard.to_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= grafana_dashboard.WIDTH
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)
