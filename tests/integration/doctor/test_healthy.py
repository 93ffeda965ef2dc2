"""Doctor beside a healthy daemon in a busy world tells nothing; the long run is ``tests/load/healthy.py``."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.healthy_world import healthy_world

MOST_RUNS = 200
"""So many runs a restart may take to come about."""


@pytest.mark.long
def test_no_false_alarm_behind_nginx_beside_clients_restarts_and_reloads(tmp_path: Path) -> None:
    with healthy_world(tmp_path, clients=50, life_seconds=1.0) as world:
        runs = [world.examine("--timeout", "30")]
        while len(runs) < 3 or (not world.done["restarts"] and len(runs) < MOST_RUNS):
            runs.append(world.examine("--timeout", "30"))
    assert all(each.is_clean for each in runs), runs
    assert world.done["restarts"], world.done
