"""A history too large to check at the start: a client that has read past a damaged range by then must still be told."""

from __future__ import annotations

import random
import time

from support.disk.judge import CHANNELS, UNREADABLE, Judge
from support.disk.judgement import Judgement
from support.disk.probes import put_probes
from support.disk.rot_base import Installation
from support.disk.wire import Wire

CHECKED_SECONDS = 180.0
"""So long the check behind the start, and bringing over what is left, may take on a busy machine."""
RESTORED = "recovered what could be read"


def judge_behind_the_start(installation: Installation) -> Judgement:
    """Start on restored files; ask as a client of the first moment, and everything once the check has run."""
    daemon, deadline = installation.daemon, time.monotonic() + CHECKED_SECONDS
    put_probes(daemon)
    daemon.start()
    try:
        wire = Wire.connect(daemon.port, installation.listener_key)
        is_told = _is_told(wire, installation.oldest, deadline)
        while RESTORED not in daemon.log and time.monotonic() < deadline:
            time.sleep(0.1)
        judge = Judge(daemon, installation.ledger, random.Random(0), patience_seconds=CHECKED_SECONDS)
        judge.judgement.find("lost_silently", not is_told, f"a client of the start within {CHECKED_SECONDS:g} s")
        judge.judgement.find("stuck", RESTORED not in daemon.log, f"not restored: {daemon.log[-600:]}")
        judge.ask(installation.listener_key, installation.oldest)
        wire.close()
    finally:
        daemon.kill()
    return judge.judgement


def _is_told(wire: Wire, place: str, deadline: float) -> bool:
    """Resume and read until a gap is reported."""
    wire.send({"action": "subscribe", "channels": CHANNELS, "after": place})
    is_told = bool(wire.until("subscribed")["gap"])
    while not is_told and time.monotonic() < deadline:
        try:
            message = wire.next()
        except TimeoutError:
            continue  # there is nothing more: it waits
        is_told = message.get("type") == "error" and message.get("code") == UNREADABLE
    return is_told
