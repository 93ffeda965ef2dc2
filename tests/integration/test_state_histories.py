"""Clients that come, go, resume and ask have the naive fold of history, across kills and restarts of a real daemon."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.live_daemon import live_daemon
from support.live_history import CONFIG, LiveHistory

pytestmark = pytest.mark.unmeasured


async def test_what_clients_hold_is_the_fold_of_history_over_a_kill_and_a_restart(tmp_path: Path) -> None:
    """``tests/load/state.py --only live`` plays any number of them."""
    with live_daemon(tmp_path, config=CONFIG) as daemon:
        assert await LiveHistory(daemon, 1).play(["kill", "restart", "reload"]) > 10
