"""Doctor beside a healthy daemon in a busy world tells nothing; the long run is ``tests/load/healthy.py``."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.healthy_world import healthy_world


@pytest.mark.long
def test_no_false_alarm_behind_nginx_beside_clients_restarts_and_reloads(tmp_path: Path) -> None:
    with healthy_world(tmp_path, clients=50, life_seconds=1.0) as world:
        runs = [world.examine("--timeout", "30") for _ in range(3)]
    assert all(each.is_clean for each in runs), runs
    assert world.done["restarts"], world.done
